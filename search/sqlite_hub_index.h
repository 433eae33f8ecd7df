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

namespace cmkstore::search {

class SqliteConnection;

struct SqliteHubIndexOptions {
  size_t cache_bytes = 2 << 20;     // decrypted pages kept in memory per open index
  size_t log_bytes = 4 << 20;       // the log is folded into the main file beyond this
  size_t ranked_matches = 2'000;    // newest matches that are ranked by relevance
  size_t counted_matches = 10'000;  // newest matches that are counted, faceted and ordered
  std::string vfs = "cmkstore-sealed";
};

// A HubIndex in one SQLite FTS5 database, whose files are sealed by the VFS of sealed_vfs.h.
//
// Every Apply is one durable transaction. Rows are numbered in order of their last change, so
// "newest first" costs nothing. One connection: searches of one hub run one after another.
//
// Thread-safe. Blocking (disk). Files are made with mode 0600.
//
// Errors: those of HubIndex; FORMAT_TOO_NEW for an index of a later schema; INDEX_CLOSED
// (UNAVAILABLE) after Close; STORE_BUSY when another process has the file or descriptors have run
// out.
class SqliteHubIndex final : public HubIndex {
 public:
  // Opens the index at `path`, or makes an empty one. Copies what it needs of `key` (32 bytes).
  static absl::StatusOr<std::unique_ptr<SqliteHubIndex>> Open(const std::string& path, HubUid hub,
                                                              const crypto::SecretBytes& key,
                                                              SqliteHubIndexOptions options);
  // Removes the files of the index at `path`. OK when there are none.
  static absl::Status Destroy(const std::string& path);

  ~SqliteHubIndex() override;

  absl::Status Apply(const std::vector<IndexChange>& changes, uint64_t sequence) override;
  absl::StatusOr<SearchResult> Search(const SearchQuery& query) override;
  absl::StatusOr<IndexStats> Stats() override;
  uint64_t indexed_sequence() const override { return sequence_.load(); }

  // Folds the log into the main file, closes both and wipes the key, after the call in flight.
  void Close();
  // Reads everything and compares the index with its documents. Errors: INDEX_CORRUPT.
  absl::Status CheckIntegrity();

 private:
  SqliteHubIndex(std::string path, HubUid hub, SqliteHubIndexOptions options);
  absl::Status Prepare();
  absl::Status CheckMeta();
  absl::Status CreateSchema();
  absl::Status ApplyLocked(const std::vector<IndexChange>& changes, uint64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Remove(const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Insert(const IndexedDocument& document) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const HubUid hub_;
  const SqliteHubIndexOptions options_;
  absl::Mutex mutex_;
  std::unique_ptr<SqliteConnection> db_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> sequence_{0};
};

}  // namespace cmkstore::search
