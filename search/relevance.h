#pragma once

#include "absl/status/status.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// Adds the FTS5 function relevance(fts, limit): for the first `limit` rows of a query Okapi BM25
// (k1 = 1.2, b = 0.75) with names counting four times and labels twice, higher is better, and 0 for
// those behind. Unlike FTS5's own bm25() it counts the documents of a word only up to 2,000, so
// that a word in every document costs no more than a rare one.
absl::Status AddRelevance(Sqlite& db);

}  // namespace cmkstore::search
