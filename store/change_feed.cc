#include "store/change_feed.h"

#include <optional>

#include "base/errors.h"
#include "base/status_macros.h"
#include "store/key_layout.h"

namespace cmkstore::store {

absl::StatusOr<std::vector<FeedEntry>> ChangeFeed::ReadAfter(const Partition& partition,
                                                             Sequence sequence,
                                                             size_t limit) const {
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

}  // namespace cmkstore::store
