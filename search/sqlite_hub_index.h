#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"
#include "search/hub_index.h"
#include "search/relevance.h"
#include "search/sealed_vfs.h"
#include "search/searchable_text.h"
#include "search/sqlite.h"

namespace cmkstore::search {

struct SqliteHubIndexOptions {
  int64_t cache_bytes = 4 << 20;  // decrypted pages kept in memory per open index
  // The newest matches that are counted, faceted and put in order. A microsecond each to rank, two
  // and more to order by content.
  size_t counted_matches = 10'000;
  int64_t steps_per_search = 100'000'000;  // of SQLite's machine; some seconds
};

// The cause (CauseOf) of INDEX_CORRUPT where nothing is damaged.
inline constexpr char kEarlierSchema[] = "earlier_schema";

// The search index of one hub: derived data in one SQLite FTS5 database on a SealedVfs, sealed
// under the hub's index key.
//
// Rows are numbered in order of their last change, so "newest first" costs nothing. A transaction
// survives the process but perhaps not a power failure: what is lost is followed again from the
// change feed.
//
// Thread-safe; calls on one index run one after another. Blocking (disk). Nothing of it is ever
// logged.
//
// Errors: FIELD_INVALID for a query, filter or order that does not parse (says where);
// QUOTA_EXCEEDED for a search that looks at too much; INDEX_CORRUPT when a part of it does not open
// or does not add up, or when it is of an earlier schema: the caller rebuilds; FORMAT_TOO_NEW for
// one of a later schema; STORE_FULL, STORE_BUSY; HUB_LOCKED after Close.
class SqliteHubIndex {
 public:
  // Opens the index at `path`, or makes an empty one. Copies what it needs of `key` (32 bytes).
  static absl::StatusOr<std::unique_ptr<SqliteHubIndex>> Open(const std::string& path, HubUid hub,
                                                              const crypto::SecretBytes& key,
                                                              const SqliteHubIndexOptions& options);
  // Removes the files of the index at `path`; it must not be open.
  static void Destroy(const std::string& path);
  ~SqliteHubIndex();
  SqliteHubIndex(const SqliteHubIndex&) = delete;
  SqliteHubIndex& operator=(const SqliteHubIndex&) = delete;

  // Applies the changes, then remembers `sequence`. Applying again does no harm. The documents of a
  // project that is removed go in several transactions, between which those who search are let in;
  // what Close cuts off is done by applying the same again.
  absl::Status Apply(const std::vector<IndexChange>& changes, uint64_t sequence);
  // Errors, besides: DEADLINE_EXCEEDED when `query` has been given up.
  absl::StatusOr<SearchResult> Search(const SearchQuery& query);
  absl::StatusOr<IndexStats> Stats();
  uint64_t indexed_sequence() const { return sequence_.load(); }

  // Ends what is under way (a search at once, changes after the document in hand), folds the log
  // into the main file, closes both and wipes the key.
  void Close();
  // The same for an index whose place another takes: who still holds it gets STORE_BUSY, and finds
  // the other one when it comes again.
  void CloseForAnother();
  // Reads everything and compares the index with its documents. Errors: INDEX_CORRUPT.
  absl::Status CheckIntegrity();

 private:
  enum class Closing { kNo, kForAnother, kForGood };

  SqliteHubIndex(std::string path, const SqliteHubIndexOptions& options)
      : path_(std::move(path)), options_(options) {}

  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(Closing why);
  absl::Status CheckOpen() const;
  // To be called once the mutex is had by who reads, and has added itself to `readers_waiting_`.
  void Admit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // INDEX_CORRUPT instead of what SQLite made of it, if a part of a file did not open.
  absl::Status Judged(absl::Status status) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Commits if `status` is OK, else rolls back.
  absl::Status Ended(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ApplyTogether(std::span<const IndexChange> changes, uint64_t sequence);
  // `texts`: of each change's document.
  absl::Status ApplyInTransaction(std::span<const IndexChange> changes,
                                  std::vector<SearchableText> texts, uint64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveProject(const std::string& project);
  // Returns how many documents it has removed.
  absl::StatusOr<size_t> RemoveSlice(const std::string& project)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveKey(const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveRow(int64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint64_t> CountOf(const char* table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::vector<int64_t>> Rows(const Sql& which) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const std::string& key, const IndexedDocument& document, SearchableText text)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const SqliteHubIndexOptions options_;
  std::atomic<uint64_t> sequence_{0};
  std::atomic<Closing> closing_{Closing::kNo};
  std::atomic<size_t> readers_waiting_{0};
  absl::Mutex mutex_;
  uint64_t readers_admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<SealedVfs> vfs_ ABSL_GUARDED_BY(mutex_);
  RowLengths lengths_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Sqlite> db_ ABSL_GUARDED_BY(mutex_);  // null once closed
};

}  // namespace cmkstore::search
