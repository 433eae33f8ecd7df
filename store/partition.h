#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/ids.h"

namespace cmkstore::store {

// One hub's rows (or the catalog's): all keys that begin with `prefix`, in shard `shard`. A
// partition lives in one shard for ever.
struct Partition {
  uint32_t shard = 0;
  std::string prefix;  // 16 bytes: a HubUid, or zeros for the catalog

  friend bool operator==(const Partition&, const Partition&) = default;
};

Partition CatalogPartition();
Partition HubPartition(uint32_t shard, HubUid hub);

// Whether an engine of `shard_count` shards has such a partition. A hub whose record names a shard
// that is not there must get an error, not another hub's memory.
//
// Errors: INVARIANT.
absl::Status CheckPartition(const Partition& partition, uint32_t shard_count);

}  // namespace cmkstore::store
