#pragma once

#include <vector>

#include "store/rocksdb/shard_set.h"
#include "store/rocksdb/table_files.h"

namespace cmkstore::store {

// Removes the rows of all hubs, change feeds and sequences included; the catalog's rows stay. May
// be repeated.
//
// Blocking. Errors: those of the store.
absl::Status DropHubs(ShardSet& shards);

// Writes the rows of all hubs of one set of shards into another with as many shards, change feeds
// and sequences included; the catalog's rows stay out. May be repeated. `pace` is told of the
// bytes.
//
// Blocking. Errors: INVARIANT (another number of shards), those of the store, that of `pace`.
absl::Status CopyHubs(const ShardSet& from, ShardSet& to, const PaceFunction& pace);

// Has the next commit of each of these partitions numbered above `floor`, which is more than any
// number that was given to what is not in `shards`; what lies between is kept as skipped. Nobody
// else writes to them meanwhile.
//
// Blocking. Errors: those of the store.
absl::Status SkipSequences(ShardSet& shards, const std::vector<Partition>& partitions,
                           Sequence floor);

}  // namespace cmkstore::store
