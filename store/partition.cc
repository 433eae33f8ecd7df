#include "store/partition.h"

#include "base/errors.h"

namespace cmkstore::store {

Partition CatalogPartition() { return {0, std::string(HubUid().bytes())}; }

Partition HubPartition(uint32_t shard, HubUid hub) { return {shard, std::string(hub.bytes())}; }

absl::Status CheckPartition(const Partition& partition, uint32_t shard_count) {
  if (partition.shard >= shard_count) return InvariantBroken("a partition of a shard not here");
  if (partition.prefix.size() != HubUid::kBytes) {
    return InvariantBroken("a partition prefix of the wrong length");
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::store
