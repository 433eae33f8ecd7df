#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "search/hub_index.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// Answers one query from the tables of SqliteHubIndex. Its cost is bounded: the newest `counted`
// matches are counted, faceted and put in order; older ones are not in the answer, which says by
// `total_is_exact` that there are some.
//
// Errors: those of HubIndex::Search.
absl::StatusOr<SearchResult> RunSearch(Sqlite& db, const SearchQuery& query, size_t counted);

}  // namespace cmkstore::search
