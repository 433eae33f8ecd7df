#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "store/commit_queue.h"
#include "store/engine.h"
#include "store/rocksdb/commit_batch.h"
#include "store/rocksdb/high_water.h"
#include "store/rocksdb/shard_options.h"

namespace cmkstore::store {

// One RocksDB with its commit thread: write sets go in, one synced batch at a time comes out.
// Thread-safe.
class Shard {
 public:
  // Errors: STORE_CORRUPT (damage, or fewer writes than were acknowledged), STATE_INVALID (in use
  // by another process), FORMAT_TOO_NEW.
  static absl::StatusOr<std::unique_ptr<Shard>> Open(const std::string& path,
                                                     const ShardResources& resources,
                                                     const CommitLimits& limits);

  void Apply(std::string prefix, WriteSet writes, Engine::Done done);
  absl::StatusOr<Sequence> LastSequence(absl::string_view prefix) const;
  absl::Status DropPartition(const std::string& prefix);
  rocksdb::DB& db() const { return *db_; }

 private:
  Shard(std::unique_ptr<rocksdb::DB> db, HighWater high_water, const CommitLimits& limits);
  void Commit(CommitQueue::Run run);
  void CommitWrites(CommitQueue::Run run);
  absl::Status CommitDrop(const std::string& prefix);
  // Writes and syncs, and raises the high water.
  absl::Status Write(rocksdb::WriteBatch& batch);

  const std::unique_ptr<rocksdb::DB> db_;

  // Of the commit thread.
  HighWater high_water_;
  SequenceMap sequences_;
  std::optional<absl::Status>
      broken_;  // a write failed: what is on disk is not known until reopened

  CommitQueue queue_;  // last: its thread uses the members above
};

}  // namespace cmkstore::store
