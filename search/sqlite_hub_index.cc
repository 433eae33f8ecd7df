#include "search/sqlite_hub_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/index_files.h"
#include "search/index_search.h"

namespace cmkstore::search {
namespace {

// On disk. docs is narrow, so that counting and ordering read few pages; texts is what full text
// search shows, of which the body of JSON content is made when it is wanted.
constexpr int64_t kSchemaVersion = 5;
constexpr size_t kRowsPerSlice = 256;  // of a project that goes
constexpr char kSchema[] = R"sql(
CREATE TABLE docs (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, project TEXT NOT NULL,
                   collection TEXT NOT NULL, document TEXT NOT NULL, content_type TEXT NOT NULL,
                   created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE INDEX docs_by_place ON docs (project, collection, document);
CREATE TABLE labels (doc INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
                     PRIMARY KEY (doc, name)) WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels (name, value, doc);
CREATE TABLE texts (id INTEGER PRIMARY KEY, names TEXT NOT NULL, labels TEXT NOT NULL,
                    content TEXT, other TEXT);
CREATE VIEW shown AS SELECT id, names, labels, coalesce(other, searchable_body(content)) AS body
                     FROM texts;
CREATE VIRTUAL TABLE fts USING fts5 (names, labels, body, content = 'shown', content_rowid = 'id',
                                     tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO fts (fts, rank) VALUES ('automerge', 8);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('sequence', 0);
)sql";
// Of the documents that do not open. Indexes that were made before it get it when they are opened.
constexpr char kSkippedTable[] =
    "CREATE TABLE IF NOT EXISTS skipped (key BLOB PRIMARY KEY) WITHOUT ROWID";

bool IsProject(const IndexChange& change) { return change.key.size() == kProjectUidBytes; }

// The rows of a table whose keys begin with a project's uid.
Sql OfProject(absl::string_view statement, const std::string& project) {
  return {absl::StrCat(statement, " WHERE key BETWEEN ? AND ?"),
          {Blob{project}, Blob{project + std::string(64, '\xff')}}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteHubIndex>> SqliteHubIndex::Open(
    const std::string& path, HubUid hub, const crypto::SecretBytes& key,
    const SqliteHubIndexOptions& options) {
  for (const char* suffix : {"", "-wal", "-journal"}) {
    if (IsNoPlainFile(absl::StrCat(path, suffix))) return IndexCorrupt("it is no file");
  }
  // SQLite gives the log the mode of the main file.
  const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0) return IndexFileFailed("opened", path, errno);
  close(fd);
  std::unique_ptr<SqliteHubIndex> index(new SqliteHubIndex(path, options));
  absl::MutexLock lock(&index->mutex_);
  CMK_ASSIGN_OR_RETURN(index->vfs_, SealedVfs::Create(hub, key));
  absl::StatusOr<std::unique_ptr<Sqlite>> opened = Sqlite::Open(path, index->vfs_->name());
  CMK_RETURN_IF_ERROR(index->Judged(opened.status()));
  index->db_ = *std::move(opened);
  CMK_RETURN_IF_ERROR(index->Judged(index->Prepare()));
  return index;
}

absl::Status SqliteHubIndex::Prepare() {
  CMK_RETURN_IF_ERROR(
      db_->Execute(absl::StrCat("PRAGMA page_size = 4096; PRAGMA locking_mode = EXCLUSIVE;"
                                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                                "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
                                "PRAGMA journal_size_limit = 0; PRAGMA wal_autocheckpoint = 2000;"
                                "PRAGMA cache_size = -",
                                options_.cache_bytes / 1024)
                       .c_str()));
  CMK_RETURN_IF_ERROR(AddSearchableBody(*db_));
  CMK_ASSIGN_OR_RETURN(const int64_t version, db_->QueryInt({"PRAGMA user_version", {}}));
  vfs_->Recovered();
  if (version > kSchemaVersion) return FormatTooNew("the search index");
  if (version != 0 && version < kSchemaVersion) {
    return WithCause(IndexCorrupt("it is of an earlier schema"), kEarlierSchema);
  }
  if (version == 0) {
    CMK_RETURN_IF_ERROR(db_->Execute(
        absl::StrCat("BEGIN;", kSchema, "PRAGMA user_version = ", kSchemaVersion, "; COMMIT")
            .c_str()));
  }
  CMK_RETURN_IF_ERROR(db_->Execute(kSkippedTable));
  CMK_RETURN_IF_ERROR(AddRelevance(*db_, lengths_));
  CMK_ASSIGN_OR_RETURN(const int64_t sequence,
                       db_->QueryInt({"SELECT value FROM meta WHERE name = 'sequence'", {}}));
  sequence_ = static_cast<uint64_t>(sequence);
  return absl::OkStatus();
}

void SqliteHubIndex::Destroy(const std::string& path) {
  for (const char* suffix : {"-wal", "-journal", ""}) {
    std::error_code ignored;
    std::filesystem::remove(absl::StrCat(path, suffix), ignored);
  }
}

SqliteHubIndex::~SqliteHubIndex() { Close(); }

void SqliteHubIndex::Close() { Close(Closing::kForGood); }
void SqliteHubIndex::CloseForAnother() { Close(Closing::kForAnother); }
void SqliteHubIndex::Close(Closing why) {
  closing_ = why;
  absl::MutexLock lock(&mutex_);
  db_.reset();
  vfs_.reset();
}

absl::Status SqliteHubIndex::CheckOpen() const {
  switch (closing_.load()) {
    case Closing::kNo: return absl::OkStatus();
    case Closing::kForAnother: return StoreBusy();
    case Closing::kForGood: break;
  }
  return HubLocked();
}

void SqliteHubIndex::Admit() {
  --readers_waiting_;
  ++readers_admitted_;
}

absl::Status SqliteHubIndex::Judged(absl::Status status) const {
  if (status.ok()) return status;
  if (vfs_->damaged()) return IndexCorrupt("a part of it does not open");
  const int refusal = vfs_->TakeRefusal();  // of which SQLite says less
  const bool of_files = HasReason(status, "STORE_BUSY") || HasReason(status, "STORE_FULL");
  return refusal != 0 && of_files ? IndexFileFailed("used", path_, refusal) : status;
}

absl::Status SqliteHubIndex::Ended(absl::Status status) {
  if (status.ok()) status = db_->Execute("COMMIT");
  if (status.ok()) return status;
  db_->Execute("ROLLBACK").IgnoreError();
  return Judged(std::move(status));
}

absl::Status SqliteHubIndex::Apply(const std::vector<IndexChange>& changes, uint64_t sequence) {
  // Only the last transaction moves the sequence.
  std::span<const IndexChange> rest(changes);
  for (size_t i = 0; i < rest.size();) {
    if (!IsProject(rest[i])) {
      ++i;
      continue;
    }
    CMK_RETURN_IF_ERROR(ApplyTogether(rest.first(i), indexed_sequence()));
    CMK_RETURN_IF_ERROR(RemoveProject(rest[i].key));
    rest = rest.subspan(i + 1);
    i = 0;
  }
  return ApplyTogether(rest, sequence);
}

absl::Status SqliteHubIndex::ApplyTogether(std::span<const IndexChange> changes,
                                           uint64_t sequence) {
  std::vector<SearchableText> texts(changes.size());  // while those who search go on
  for (size_t i = 0; i < changes.size(); ++i) {
    CMK_RETURN_IF_ERROR(CheckOpen());
    if (changes[i].document.has_value()) texts[i] = ToSearchableText(*changes[i].document);
  }
  absl::MutexLock lock(&mutex_);
  CMK_RETURN_IF_ERROR(CheckOpen());
  CMK_RETURN_IF_ERROR(Judged(db_->Execute("BEGIN IMMEDIATE")));
  CMK_RETURN_IF_ERROR(Ended(ApplyInTransaction(changes, std::move(texts), sequence)));
  sequence_ = sequence;
  return absl::OkStatus();
}

absl::Status SqliteHubIndex::ApplyInTransaction(std::span<const IndexChange> changes,
                                                std::vector<SearchableText> texts,
                                                uint64_t sequence) {
  for (size_t i = 0; i < changes.size(); ++i) {
    const IndexChange& change = changes[i];
    CMK_RETURN_IF_ERROR(CheckOpen());
    CMK_RETURN_IF_ERROR(RemoveKey(change.key));
    if (change.document.has_value()) {
      CMK_RETURN_IF_ERROR(Insert(change.key, *change.document, std::move(texts[i])));
    } else if (change.unreadable) {
      CMK_RETURN_IF_ERROR(db_->Run({"INSERT INTO skipped VALUES (?)", {Blob{change.key}}}));
    }
  }
  return db_->Run(
      {"UPDATE meta SET value = ? WHERE name = 'sequence'", {static_cast<int64_t>(sequence)}});
}

// A project may have any number of documents: neither a lock of the hub nor a search waits for all
// of them.
absl::Status SqliteHubIndex::RemoveProject(const std::string& project) {
  absl::MutexLock lock(&mutex_);
  for (;;) {
    CMK_RETURN_IF_ERROR(CheckOpen());
    CMK_RETURN_IF_ERROR(Judged(db_->Execute("BEGIN IMMEDIATE")));
    const absl::StatusOr<size_t> removed = RemoveSlice(project);
    CMK_RETURN_IF_ERROR(Ended(removed.status()));
    if (*removed < kRowsPerSlice) return absl::OkStatus();
    const auto let_in = [this, before = readers_admitted_] {
      return readers_waiting_ == 0 || readers_admitted_ != before;
    };
    mutex_.Await(absl::Condition(&let_in));
  }
}

absl::StatusOr<size_t> SqliteHubIndex::RemoveSlice(const std::string& project) {
  Sql which = OfProject("SELECT id FROM docs", project);
  which.Append({" LIMIT ?", {static_cast<int64_t>(kRowsPerSlice)}});
  CMK_ASSIGN_OR_RETURN(const std::vector<int64_t> rows, Rows(which));
  for (const int64_t id : rows) {
    CMK_RETURN_IF_ERROR(CheckOpen());
    CMK_RETURN_IF_ERROR(RemoveRow(id));
  }
  CMK_RETURN_IF_ERROR(db_->Run(OfProject("DELETE FROM skipped", project)));
  return rows.size();
}

absl::Status SqliteHubIndex::RemoveKey(const std::string& key) {
  CMK_ASSIGN_OR_RETURN(const std::vector<int64_t> rows,
                       Rows({"SELECT id FROM docs WHERE key = ?", {Blob{key}}}));
  for (const int64_t id : rows) CMK_RETURN_IF_ERROR(RemoveRow(id));
  return db_->Run({"DELETE FROM skipped WHERE key = ?", {Blob{key}}});
}

absl::StatusOr<std::vector<int64_t>> SqliteHubIndex::Rows(const Sql& which) {
  CMK_ASSIGN_OR_RETURN(Statement found, db_->Prepare(which));
  std::vector<int64_t> rows;
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const bool row, found.Step());
    if (!row) return rows;
    rows.push_back(found.Int(0));
  }
}

// One row by VALUES: for a statement that may touch several, FTS5 first writes to its tables all
// that it has gathered in memory, which costs more than the rest of indexing a document.
absl::Status SqliteHubIndex::RemoveRow(int64_t id) {
  std::string names, labels, body;
  {
    CMK_ASSIGN_OR_RETURN(
        Statement texts,
        db_->Prepare({"SELECT names, labels, body FROM shown WHERE id = ?", {id}}));
    CMK_ASSIGN_OR_RETURN(const bool row, texts.Step());
    if (!row) return IndexCorrupt("a document has no text");
    names = texts.Text(0);
    labels = texts.Text(1);
    body = texts.Text(2);
  }
  CMK_RETURN_IF_ERROR(
      db_->Run({"INSERT INTO fts (fts, rowid, names, labels, body) VALUES ('delete', ?, ?, ?, ?)",
                {id, std::move(names), std::move(labels), std::move(body)}}));
  CMK_RETURN_IF_ERROR(db_->Run({"DELETE FROM labels WHERE doc = ?", {id}}));
  CMK_RETURN_IF_ERROR(db_->Run({"DELETE FROM texts WHERE id = ?", {id}}));
  return db_->Run({"DELETE FROM docs WHERE id = ?", {id}});
}

absl::Status SqliteHubIndex::Insert(const std::string& key, const IndexedDocument& document,
                                    SearchableText text) {
  CMK_RETURN_IF_ERROR(db_->Run(
      {"INSERT INTO docs (key, project, collection, document, content_type, created, updated) "
       "VALUES (?, ?, ?, ?, ?, ?, ?)",
       {Blob{key}, document.project, document.collection, document.document, document.content_type,
        absl::ToUnixMicros(document.create_time), absl::ToUnixMicros(document.update_time)}}));
  const int64_t id = sqlite3_last_insert_rowid(db_->handle());
  lengths_.Forget(id);
  for (const auto& [name, value] : document.labels) {
    CMK_RETURN_IF_ERROR(db_->Run({"INSERT INTO labels VALUES (?, ?, ?)", {id, name, value}}));
  }
  CMK_RETURN_IF_ERROR(db_->Run({"INSERT INTO fts (rowid, names, labels, body) VALUES (?, ?, ?, ?)",
                                {id, text.names, text.labels, text.body}}));
  // SQLite's own judgement: a filter on content must not stumble over what it cannot read.
  return db_->Run(
      {"INSERT INTO texts SELECT ?1, ?2, ?3, CASE WHEN json THEN ?4 END, CASE WHEN NOT json THEN "
       "?5 "
       "END FROM (SELECT json_valid(?4) AS json)",
       {id, std::move(text.names), std::move(text.labels), std::move(text.json),
        std::move(text.body)}});
}

absl::StatusOr<SearchResult> SqliteHubIndex::Search(const SearchQuery& query) {
  const auto given_up = [&query] { return query.given_up && query.given_up(); };
  ++readers_waiting_;
  absl::MutexLock lock(&mutex_);
  Admit();
  CMK_RETURN_IF_ERROR(CheckOpen());
  if (given_up()) return DeadlineExceeded("the search");
  db_->BoundSteps(options_.steps_per_search,
                  [&] { return closing_ != Closing::kNo || given_up(); });
  absl::StatusOr<SearchResult> result = RunSearch(*db_, query, options_.counted_matches);
  db_->UnboundSteps();
  CMK_RETURN_IF_ERROR(CheckOpen());
  if (!result.ok() && given_up()) return DeadlineExceeded("the search");
  CMK_RETURN_IF_ERROR(Judged(result.status()));
  CMK_ASSIGN_OR_RETURN(const uint64_t unreadable, CountOf("skipped"));
  if (unreadable > 0) result->total_is_exact = false;
  result->indexed_sequence = sequence_;
  return result;
}

absl::StatusOr<uint64_t> SqliteHubIndex::CountOf(const char* table) {
  absl::StatusOr<int64_t> count = db_->QueryInt({absl::StrCat("SELECT count(*) FROM ", table), {}});
  CMK_RETURN_IF_ERROR(Judged(count.status()));
  return static_cast<uint64_t>(*count);
}

absl::StatusOr<IndexStats> SqliteHubIndex::Stats() {
  ++readers_waiting_;
  absl::MutexLock lock(&mutex_);
  Admit();
  CMK_RETURN_IF_ERROR(CheckOpen());
  IndexStats stats;
  CMK_ASSIGN_OR_RETURN(stats.documents, CountOf("docs"));
  CMK_ASSIGN_OR_RETURN(stats.unreadable, CountOf("skipped"));
  for (const char* suffix : {"", "-wal"}) {
    std::error_code missing;
    const uintmax_t bytes = std::filesystem::file_size(absl::StrCat(path_, suffix), missing);
    if (!missing) stats.file_bytes += bytes;
  }
  stats.indexed_sequence = sequence_;
  return stats;
}

absl::Status SqliteHubIndex::CheckIntegrity() {
  absl::MutexLock lock(&mutex_);
  CMK_RETURN_IF_ERROR(CheckOpen());
  absl::StatusOr<Statement> check = db_->Prepare({"PRAGMA integrity_check(1)", {}});
  CMK_RETURN_IF_ERROR(Judged(check.status()));
  const absl::StatusOr<bool> row = check->Step();
  CMK_RETURN_IF_ERROR(Judged(row.status()));
  if (check->Text(0) != "ok") return IndexCorrupt("its tables do not add up");
  return Judged(db_->Execute("INSERT INTO fts (fts) VALUES ('integrity-check')"));
}

}  // namespace cmkstore::search
