#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// How many words the rows have that were scored last: to look one up takes longer than the rest of
// its score. 256 KiB once there are any. Not thread-safe.
class RowLengths {
 public:
  std::optional<int> Find(int64_t row) const;
  void Keep(int64_t row, int length);
  // To be called for a row that is written: its number may have been another's.
  void Forget(int64_t row);

 private:
  struct Entry {
    int64_t row = 0;  // none: rows begin at 1
    int length = 0;
  };
  static constexpr size_t kEntries = 1u << 14;  // more than a search ranks

  static size_t PlaceOf(int64_t row) { return static_cast<size_t>(row) % kEntries; }

  std::vector<Entry> entries_;
};

// Adds the FTS5 function relevance(fts, limit): for the first `limit` rows of a query Okapi BM25
// (k1 = 1.2, b = 0.75) with names counting four times and labels twice, higher is better, and 0 for
// those behind. Unlike FTS5's own bm25() it counts the documents of a word only up to 2,000, so
// that a word in every document costs no more than a rare one. And occurrences(fts, most): how
// often the words of the query stand in the row, counted up to one more than `most`.
//
// `lengths` must outlive `db`.
absl::Status AddRelevance(Sqlite& db, RowLengths& lengths);

}  // namespace cmkstore::search
