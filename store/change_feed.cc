#include "store/change_feed.h"

#include <algorithm>
#include <optional>

#include "base/errors.h"
#include "base/status_macros.h"
#include "store/key_layout.h"
#include "store/tables.h"

namespace cmkstore::store {

absl::StatusOr<std::vector<FeedEntry>> ChangeFeed::ReadAfter(const Partition& partition,
                                                             Sequence sequence,
                                                             ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      engine_->Scan(partition, {FeedKey(sequence + 1), TableRange(Table::kFeed).end}, limit));
  std::vector<FeedEntry> entries(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::optional<Sequence> at = ParseFeedKey(rows[i].key);
    if (!at.has_value() || !entries[i].record.ParseFromString(rows[i].value)) {
      return StoreCorrupt("an entry of the change feed does not parse");
    }
    entries[i].sequence = *at;
  }
  return entries;
}

absl::StatusOr<uint64_t> ChangeFeed::SkippedAfter(const Partition& partition,
                                                  Sequence sequence) const {
  CMK_ASSIGN_OR_RETURN(const auto skipped, SkippedTable(*engine_).Get(partition));
  uint64_t numbers = 0;
  if (!skipped.has_value()) return numbers;
  for (const auto& range : skipped->ranges()) {
    if (range.until() > sequence) numbers += range.until() - std::max(range.after(), sequence);
  }
  return numbers;
}

absl::StatusOr<bool> ChangeFeed::Has(const Partition& partition, Sequence sequence,
                                     Sequence last) const {
  if (sequence > last) return false;
  CMK_ASSIGN_OR_RETURN(const auto skipped, SkippedTable(*engine_).Get(partition));
  if (!skipped.has_value()) return true;
  return std::none_of(skipped->ranges().begin(), skipped->ranges().end(), [&](const auto& range) {
    return range.after() < sequence && sequence < range.until();
  });
}

}  // namespace cmkstore::store
