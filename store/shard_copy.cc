#include "store/shard_copy.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/errors.h"
#include "base/status_macros.h"
#include "store/key_layout.h"
#include "store/tables.h"

namespace cmkstore::store {
namespace {

constexpr size_t kBytesAtOnce = 4u << 20;
// Skipped at least, where a hub has come as far as the floor: by a clock that was wrong.
constexpr Sequence kLeastSkipped = Sequence{1} << 32;

}  // namespace

absl::Status DropHubs(ShardSet& shards) {
  const std::string catalog = CatalogPartition().prefix;
  for (uint32_t shard = 0; shard < shards.shard_count(); ++shard) {
    std::string after = EndOfPrefix(catalog);
    for (;;) {
      CMK_ASSIGN_OR_RETURN(const std::vector<Row> first, shards.ReadRows(shard, after, 1));
      if (first.empty()) break;
      const Partition hub = {shard, first[0].key.substr(0, catalog.size())};
      CMK_RETURN_IF_ERROR(shards.DropPartition(hub));
      after = EndOfPrefix(hub.prefix);
    }
  }
  return absl::OkStatus();
}

absl::Status CopyHubs(const ShardSet& from, ShardSet& to, const PaceFunction& pace) {
  if (from.shard_count() != to.shard_count()) {
    return InvariantBroken("shards copied to another number of shards");
  }
  for (uint32_t shard = 0; shard < from.shard_count(); ++shard) {
    // The catalog's prefix is the lowest.
    std::string after = EndOfPrefix(CatalogPartition().prefix);
    for (;;) {
      CMK_ASSIGN_OR_RETURN(const std::vector<Row> rows, from.ReadRows(shard, after, kBytesAtOnce));
      if (rows.empty()) break;
      uint64_t bytes = 0;
      for (const Row& row : rows) bytes += row.key.size() + row.value.size();
      CMK_RETURN_IF_ERROR(to.WriteRows(shard, rows));
      CMK_RETURN_IF_ERROR(pace(bytes));
      after = rows.back().key;
    }
  }
  return absl::OkStatus();
}

absl::Status SkipSequences(ShardSet& shards, const std::vector<Partition>& partitions,
                           Sequence floor) {
  std::map<uint32_t, std::vector<Row>> rows;  // by shard
  for (const Partition& partition : partitions) {
    CMK_ASSIGN_OR_RETURN(const Sequence last, shards.LastSequence(partition));
    CMK_ASSIGN_OR_RETURN(const auto before, SkippedTable(shards).Get(partition));
    storage::v1::SkippedSequences skipped = before.value_or(storage::v1::SkippedSequences());
    storage::v1::SkippedSequences::Range& range = *skipped.add_ranges();
    range.set_after(last);
    range.set_until(std::max(floor, last + kLeastSkipped));
    std::string state;
    AppendU64(range.until(), state);
    std::vector<Row>& own = rows[partition.shard];
    own.push_back({partition.prefix + PartitionStateKey(), std::move(state)});
    own.push_back({partition.prefix + MakeKey(Table::kSkipped), skipped.SerializeAsString()});
  }
  for (const auto& [shard, own] : rows) CMK_RETURN_IF_ERROR(shards.WriteRows(shard, own));
  return absl::OkStatus();
}

}  // namespace cmkstore::store
