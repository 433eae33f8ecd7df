#pragma once

#include <sqlite3.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// What extends FTS5 on this connection; lives as long as `db`.
absl::StatusOr<fts5_api*> Fts5Of(Sqlite& db);

// How many words the index, whose tokenizer is unicode61, makes of `text`: of punctuation alone
// none, of `a-b` two.
absl::StatusOr<int> CountTokens(fts5_api& api, absl::string_view text);

}  // namespace cmkstore::search
