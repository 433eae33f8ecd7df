#pragma once

#include "absl/status/status.h"
#include "store/engine.h"

namespace cmkstore::store {

// Whether an engine of `shard_count` shards has such a partition. A hub whose record names a shard
// that is not there must get an error, not another hub's memory.
//
// Errors: INVARIANT.
absl::Status CheckPartition(const Partition& partition, uint32_t shard_count);

}  // namespace cmkstore::store
