#include "store/partition_check.h"

#include "base/errors.h"
#include "base/ids.h"

namespace cmkstore::store {

absl::Status CheckPartition(const Partition& partition, uint32_t shard_count) {
  if (partition.shard >= shard_count) return InvariantBroken("a partition of a shard not here");
  if (partition.prefix.size() != HubUid::kBytes) {
    return InvariantBroken("a partition prefix of the wrong length");
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::store
