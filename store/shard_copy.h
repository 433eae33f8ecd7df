#pragma once

#include "store/rocksdb/shard_set.h"
#include "store/rocksdb/table_files.h"

namespace cmkstore::store {

// Writes the rows of all hubs of one set of shards into another with as many shards, change feeds
// and sequences included; the catalog's rows stay out. May be repeated. `pace` is told of the
// bytes.
//
// Blocking. Errors: INVARIANT (another number of shards), those of the store, that of `pace`.
absl::Status CopyHubs(const ShardSet& from, ShardSet& to, const PaceFunction& pace);

}  // namespace cmkstore::store
