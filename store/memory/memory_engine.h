#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "store/commit_queue.h"
#include "store/engine.h"

namespace cmkstore::store {

// The Engine in memory, for tests: the same contract but for durability, and the same asynchronous
// completion on a thread of its own.
//
// Thread-safe.
class MemoryEngine final : public Engine {
 public:
  explicit MemoryEngine(uint32_t shards, const CommitLimits& limits = {});

  uint32_t shard_count() const override { return shards_; }
  absl::StatusOr<std::optional<std::string>> Get(const Partition& partition,
                                                 absl::string_view key) const override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      const Partition& partition, const std::vector<std::string>& keys,
      size_t enough_bytes) const override;
  absl::StatusOr<std::vector<Row>> Scan(const Partition& partition, const KeyRange& range,
                                        ReadLimit limit) const override;
  void Apply(const Partition& partition, WriteSet writes, Done done) override;
  absl::StatusOr<Sequence> LastSequence(const Partition& partition) const override;
  absl::Status DropPartition(const Partition& partition) override;

 private:
  using Rows = std::map<std::string, std::string>;

  void Commit(CommitQueue::Run run);
  absl::StatusOr<Sequence> CommitOne(const QueuedCommit& one);
  const Rows& RowsOf(const std::string& prefix) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint32_t shards_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Rows> partitions_ ABSL_GUARDED_BY(mutex_);
  CommitQueue queue_;  // last: its thread uses the members above
};

}  // namespace cmkstore::store
