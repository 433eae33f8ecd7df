#include "search/tokens.h"

namespace cmkstore::search {
namespace {

int CountToken(void* count, int /*flags*/, const char*, int, int /*begin*/, int /*end*/) {
  ++*static_cast<int*>(count);
  return SQLITE_OK;
}

}  // namespace

absl::StatusOr<fts5_api*> Fts5Of(Sqlite& db) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db.handle(), "SELECT fts5(?1)", -1, &statement, nullptr);
  if (code == SQLITE_OK) {
    sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", nullptr);
    sqlite3_step(statement);
  }
  const int ended = sqlite3_finalize(statement);
  if (code == SQLITE_OK) code = ended;
  if (api == nullptr) return ToStatus(code == SQLITE_OK ? SQLITE_ERROR : code);
  return api;
}

absl::StatusOr<int> CountTokens(fts5_api& api, absl::string_view text) {
  void* context = nullptr;
  fts5_tokenizer tokenizer{};
  Fts5Tokenizer* made = nullptr;
  int code = api.xFindTokenizer(&api, "unicode61", &context, &tokenizer);
  if (code == SQLITE_OK) code = tokenizer.xCreate(context, nullptr, 0, &made);
  if (code != SQLITE_OK) return ToStatus(code);
  int count = 0;
  code = tokenizer.xTokenize(made, &count, FTS5_TOKENIZE_QUERY, text.data(),
                             static_cast<int>(text.size()), CountToken);
  tokenizer.xDelete(made);
  if (code != SQLITE_OK) return ToStatus(code);
  return count;
}

}  // namespace cmkstore::search
