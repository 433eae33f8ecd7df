#include "service/descriptor_budget.h"

#include <algorithm>

namespace cmkstore::service {
namespace {

constexpr size_t kPerIndex = 3;
// Of a shard beside its tables: its log, its manifest, and the tables of a copy that is looked at.
constexpr size_t kPerShard = 48;
constexpr size_t kOthers = 128;  // calls to vaults, event loops, backups' files
constexpr size_t kMostTables = 512, kFewTables = 64;
constexpr size_t kLeastTables = 20;  // RocksDB takes no less

}  // namespace

DescriptorBudget DealDescriptors(uint64_t descriptors, size_t shards, size_t wanted_indexes) {
  const size_t third = descriptors / 3;
  const size_t files = third - std::min(third / 2, kOthers + kPerShard * shards);
  DescriptorBudget budget;
  budget.open_indexes = std::clamp<size_t>(files / 2 / kPerIndex, 1, wanted_indexes);
  budget.table_files_per_shard =
      std::clamp<size_t>((files - std::min(files, kPerIndex * budget.open_indexes)) / shards,
                         kLeastTables, kMostTables);
  budget.scarce = budget.open_indexes < wanted_indexes || budget.table_files_per_shard < kFewTables;
  return budget;
}

}  // namespace cmkstore::service
