#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "store/commit_queue.h"
#include "store/engine.h"

namespace cmkstore::store {

// Last sequence by partition prefix.
using SequenceMap = absl::flat_hash_map<std::string, Sequence>;

// The row of a full key, or nullopt. Errors: as FromRocks.
absl::StatusOr<std::optional<std::string>> ReadRow(rocksdb::DB& db, const std::string& key);

// The write sets that go into one synced write: what those before have written is what the next
// ones see.
//
// Not thread-safe: the commit thread's. Keeps pointers into what Add is given.
class CommitBatch {
 public:
  // `remembered` spares reading the sequences of partitions written lately.
  CommitBatch(rocksdb::DB& db, const SequenceMap& remembered);

  // Adds a write set, or answers why it does not hold; then nothing of it is in the batch.
  absl::StatusOr<Sequence> Add(const QueuedCommit& queued);
  // Completed with the partitions' new sequences. Once, after the last Add.
  rocksdb::WriteBatch& Finish();
  const SequenceMap& sequences() const { return next_; }
  bool empty() const { return next_.empty() && sums_.empty(); }

 private:
  absl::Status Check(const std::string& key, const Precondition& condition) const;
  // Whether any row begins so, as this batch leaves them.
  absl::StatusOr<bool> HasPrefix(const std::string& prefix) const;
  // Reads the counters that `writes` adds to and that are not known yet.
  absl::Status ReadSums(const std::string& prefix, const WriteSet& writes);
  absl::StatusOr<Sequence> Last(const std::string& prefix) const;

  rocksdb::DB& db_;
  const SequenceMap& remembered_;
  SequenceMap next_;
  absl::flat_hash_map<std::string, const std::string*> written_;  // null: deleted
  // Rows of counters as this batch leaves them.
  absl::flat_hash_map<std::string, std::string> sums_;
  rocksdb::WriteBatch batch_;
};

}  // namespace cmkstore::store
