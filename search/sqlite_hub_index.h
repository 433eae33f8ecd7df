#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"
#include "search/hub_index.h"
#include "search/sealed_vfs.h"
#include "search/sqlite.h"

namespace cmkstore::search {

struct SqliteHubIndexOptions {
  int64_t cache_bytes = 4 << 20;           // decrypted pages kept in memory per open index
  size_t ranked_matches = 1'000;           // newest matches that are ranked by relevance
  size_t counted_matches = 10'000;         // newest matches that are counted, faceted and ordered
  int64_t steps_per_search = 100'000'000;  // of SQLite's machine; some seconds
};

// A HubIndex in one SQLite FTS5 database on a SealedVfs.
//
// Rows are numbered in order of their last change, so "newest first" costs nothing. A transaction
// survives the process but perhaps not a power failure: what is lost is followed again from the
// change feed.
//
// Thread-safe. Blocking. Errors: those of HubIndex; FORMAT_TOO_NEW for an index of a later schema;
// INDEX_CORRUPT, so that it is rebuilt, for one of an earlier.
class SqliteHubIndex final : public HubIndex {
 public:
  // Opens the index at `path`, or makes an empty one. Copies what it needs of `key` (32 bytes).
  static absl::StatusOr<std::unique_ptr<SqliteHubIndex>> Open(const std::string& path, HubUid hub,
                                                              const crypto::SecretBytes& key,
                                                              const SqliteHubIndexOptions& options);
  // Removes the files of the index at `path`; it must not be open.
  static void Destroy(const std::string& path);
  ~SqliteHubIndex() override;

  absl::Status Apply(const std::vector<IndexChange>& changes, uint64_t sequence) override;
  absl::StatusOr<SearchResult> Search(const SearchQuery& query) override;
  absl::StatusOr<IndexStats> Stats() override;
  uint64_t indexed_sequence() const override { return sequence_.load(); }

  // Ends the statement in flight, folds the log into the main file, closes both and wipes the key.
  void Close();
  // Reads everything and compares the index with its documents. Errors: INDEX_CORRUPT.
  absl::Status CheckIntegrity();

 private:
  SqliteHubIndex(std::string path, const SqliteHubIndexOptions& options)
      : path_(std::move(path)), options_(options) {}

  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // INDEX_CORRUPT instead of what SQLite made of it, if a part of a file did not open.
  absl::Status Judged(absl::Status status) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ApplyInTransaction(const std::vector<IndexChange>& changes, uint64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Remove(const Sql& which) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveOne(int64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const std::string& key, const IndexedDocument& document)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const SqliteHubIndexOptions options_;
  std::atomic<uint64_t> sequence_{0};
  std::atomic<bool> closing_{false};
  absl::Mutex mutex_;
  std::unique_ptr<SealedVfs> vfs_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Sqlite> db_ ABSL_GUARDED_BY(mutex_);  // null once closed
};

}  // namespace cmkstore::search
