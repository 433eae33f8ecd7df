#include "search/sqlite.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::search {
namespace {

constexpr int kStepsPerCheck = 100;  // some 5 rows of a filter on content
constexpr size_t kMaxIdleStatements = 64;

}  // namespace

void LimitSqliteMemory(int64_t bytes) {
  sqlite3_hard_heap_limit64(0);  // takes the soft limit along, at which caches cease to grow
  sqlite3_hard_heap_limit64(bytes);
}

absl::Status ToStatus(int code) {
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW: return absl::OkStatus();
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return IndexCorrupt("the index's content does not add up");
    case SQLITE_FULL: return StoreFull();
    case SQLITE_NOMEM:  // LimitSqliteMemory
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN: return StoreBusy();
    case SQLITE_INTERRUPT:
      return QuotaExceeded(
          "the search looks at too many documents; narrow it by a word, a collection or a label",
          std::nullopt);
    case SQLITE_IOERR:
      if (code == SQLITE_IOERR_CORRUPTFS) return IndexCorrupt("a part of it does not open");
      return StoreBusy();
    default: return InvariantBroken(absl::StrCat("the index answered ", code));
  }
}

Statement::~Statement() {
  if (statement_ != nullptr) db_->GiveBack(std::move(text_), statement_);
}

absl::Status Statement::Bind(const std::vector<SqlValue>& values) {
  int index = 0;
  for (const SqlValue& value : values) {
    ++index;
    int code = SQLITE_OK;
    if (const auto* number = std::get_if<int64_t>(&value)) {
      code = sqlite3_bind_int64(statement_, index, *number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      code = sqlite3_bind_double(statement_, index, *real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      code = sqlite3_bind_text64(statement_, index, text->data(), text->size(), SQLITE_TRANSIENT,
                                 SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      code = sqlite3_bind_blob64(statement_, index, blob->bytes.data(), blob->bytes.size(),
                                 SQLITE_TRANSIENT);
    } else {
      code = sqlite3_bind_null(statement_, index);
    }
    // It would be bound as null: other text than the index has would be taken out of it.
    CMK_RETURN_IF_ERROR(ToStatus(code));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return ToStatus(sqlite3_extended_errcode(db_->handle()));
}

absl::Status Statement::Run() {
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return text == nullptr ? std::string() : std::string(text, static_cast<size_t>(size));
}

absl::StatusOr<std::unique_ptr<Sqlite>> Sqlite::Open(const std::string& path, const char* vfs) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs);
  std::unique_ptr<Sqlite> opened(new Sqlite(db));
  CMK_RETURN_IF_ERROR(ToStatus(code));
  sqlite3_extended_result_codes(db, 1);
  return opened;
}

Sqlite::~Sqlite() {
  for (const auto& [text, statement] : idle_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

void Sqlite::GiveBack(std::string text, sqlite3_stmt* statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);  // customer content
  if (idle_.size() >= kMaxIdleStatements || !idle_.emplace(std::move(text), statement).second) {
    sqlite3_finalize(statement);
  }
}

absl::Status Sqlite::Execute(const char* script) {
  const int code = sqlite3_exec(db_, script, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ToStatus(sqlite3_extended_errcode(db_));
}

absl::StatusOr<Statement> Sqlite::Prepare(const Sql& sql) {
  sqlite3_stmt* prepared = nullptr;
  if (const auto idle = idle_.find(sql.text); idle != idle_.end()) {
    prepared = idle->second;
    idle_.erase(idle);
  } else if (sqlite3_prepare_v2(db_, sql.text.data(), static_cast<int>(sql.text.size()), &prepared,
                                nullptr) != SQLITE_OK) {
    return ToStatus(sqlite3_extended_errcode(db_));
  }
  Statement statement(*this, sql.text, prepared);
  CMK_RETURN_IF_ERROR(statement.Bind(sql.values));
  return statement;
}

absl::Status Sqlite::Run(const Sql& sql) {
  CMK_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  return statement.Run();
}

absl::StatusOr<int64_t> Sqlite::QueryInt(const Sql& sql) {
  CMK_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  CMK_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

void Sqlite::BoundSteps(int64_t steps, std::function<bool()> cancelled) {
  steps_left_ = steps;
  cancelled_ = std::move(cancelled);
  sqlite3_progress_handler(db_, kStepsPerCheck, OnProgress, this);
}

void Sqlite::UnboundSteps() {
  sqlite3_progress_handler(db_, 0, nullptr, nullptr);
  cancelled_ = nullptr;
}

int Sqlite::OnProgress(void* self) {
  auto* sqlite = static_cast<Sqlite*>(self);
  sqlite->steps_left_ -= kStepsPerCheck;
  return sqlite->steps_left_ <= 0 || sqlite->IsCancelled() ? 1 : 0;
}

}  // namespace cmkstore::search
