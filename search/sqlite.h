#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::search {

// A value to bind in SQL; text and blobs are copied.
struct Blob {
  std::string bytes;
};
using SqlValue = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;

// SQL text with the values of its `?`, in order: built up from parts, so that no input is ever text
// of a statement.
struct Sql {
  std::string text;
  std::vector<SqlValue> values;

  void Append(const Sql& other) {
    text += other.text;
    values.insert(values.end(), other.values.begin(), other.values.end());
  }
};

class Sqlite;

// A prepared statement with its values bound; steps through rows. Goes back to its connection for
// the next use. Not thread-safe.
class Statement {
 public:
  Statement(Sqlite& db, std::string text, sqlite3_stmt* statement)
      : db_(&db), text_(std::move(text)), statement_(statement) {}
  ~Statement();
  Statement(Statement&& other) noexcept
      : db_(other.db_),
        text_(std::move(other.text_)),
        statement_(std::exchange(other.statement_, nullptr)) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Errors: STORE_BUSY when there is no memory for them.
  absl::Status Bind(const std::vector<SqlValue>& values);
  // True while there is a row.
  absl::StatusOr<bool> Step();
  // Runs to the end.
  absl::Status Run();

  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  double Real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string Text(int column) const;

 private:
  Sqlite* const db_;
  std::string text_;
  sqlite3_stmt* statement_;
};

// One connection to an SQLite database. Keeps up to 64 prepared statements. Not thread-safe.
//
// Errors: INDEX_CORRUPT (damage, or no database), STORE_FULL, STORE_BUSY, QUOTA_EXCEEDED
// (interrupted), INVARIANT. SQLite's own messages are dropped: they may quote customer content.
class Sqlite {
 public:
  static absl::StatusOr<std::unique_ptr<Sqlite>> Open(const std::string& path, const char* vfs);
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  absl::Status Execute(const char* script);
  absl::StatusOr<Statement> Prepare(const Sql& sql);
  absl::Status Run(const Sql& sql);
  // The first column of the first row; 0 when there is none.
  absl::StatusOr<int64_t> QueryInt(const Sql& sql);
  // Until UnboundSteps, statements end with QUOTA_EXCEEDED after about so many steps of SQLite's
  // machine, or soon after `cancelled` has become true.
  void BoundSteps(int64_t steps, std::function<bool()> cancelled);
  void UnboundSteps();
  // Whether such a statement is to end now: for functions that take long at one row.
  bool IsCancelled() const { return cancelled_ && cancelled_(); }
  sqlite3* handle() { return db_; }

 private:
  explicit Sqlite(sqlite3* db) : db_(db) {}
  friend class Statement;
  static int OnProgress(void* self);
  void GiveBack(std::string text, sqlite3_stmt* statement);

  sqlite3* const db_;
  absl::flat_hash_map<std::string, sqlite3_stmt*> idle_;  // by their text
  int64_t steps_left_ = 0;
  std::function<bool()> cancelled_;
};

// Bounds what all connections of the process take together, their caches included. A statement that
// needs more ends with STORE_BUSY. 0: no bound.
void LimitSqliteMemory(int64_t bytes);

// The status of an SQLite result code.
absl::Status ToStatus(int code);

}  // namespace cmkstore::search
