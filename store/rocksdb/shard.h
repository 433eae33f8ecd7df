#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "store/commit_queue.h"
#include "store/engine.h"
#include "store/rocksdb/commit_batch.h"
#include "store/rocksdb/high_water.h"
#include "store/rocksdb/shard_database.h"
#include "store/rocksdb/shard_meeting.h"
#include "store/rocksdb/shard_options.h"
#include "store/rocksdb/shard_stats.h"

namespace cmkstore::store {

// One RocksDB with its commit thread: write sets go in, one synced batch at a time comes out.
//
// After a failed write the shard refuses all writes, because what reached the log is not known,
// until its database has been opened anew: then all acknowledged rows stand in new files and the
// log in doubt is gone. Reads go on meanwhile. It tries with the next write, once per
// `resume_interval`.
//
// Where the cause is damage that a compaction meets, writes go on after each such opening until the
// compaction meets it again. So a shard that fails anew before it went `proving_time` without an
// error counts as stopped until it has, though it takes writes in between.
//
// Thread-safe.
class Shard {
 public:
  // Errors: STORE_CORRUPT (damage, or fewer writes than were acknowledged, or nobody knows how many
  // those were), STATE_INVALID (in use by another process), FORMAT_TOO_NEW.
  static absl::StatusOr<std::unique_ptr<Shard>> Open(const std::string& path,
                                                     const ShardResources& resources,
                                                     const CommitLimits& limits);

  // Whether anything was ever written to it. Before the first Apply only.
  bool HasWrites() const { return acknowledged_ > 0; }
  void Apply(std::string prefix, WriteSet writes, Engine::Done done);
  absl::StatusOr<Sequence> LastSequence(absl::string_view prefix) const;
  absl::Status DropPartition(const std::string& prefix);
  void StopGivingSpaceBack() { stopping_ = true; }
  // Rows by their full keys, as they are: no sequence is taken.
  absl::Status WriteRows(const std::vector<Row>& rows);
  // Writes what is in memory to table files.
  absl::Status Flush();
  // Copies the shard into the new directory `path`, while no shard of the meeting commits.
  absl::Status Cut(const std::string& path, ShardMeeting& meeting);
  // Keep it for one read and no longer. Errors: STORE_BUSY while the disk fails.
  absl::StatusOr<DatabasePtr> db() const { return database_->Use(); }
  // Whether writes are refused now.
  bool refusing() const { return refusing_.load(std::memory_order_relaxed); }
  // Whether it counts as taking writes.
  bool accepting() const { return accepting_.load(std::memory_order_relaxed); }
  // Lets a shard that has stopped try to resume, or show that it has, though nobody writes.
  void Nudge();
  ShardState State() const;

 private:
  Shard(std::unique_ptr<ShardDatabase> database, DatabasePtr db, HighWater high_water,
        const ShardResources& resources, const CommitLimits& limits);
  void Commit(CommitQueue::Run run);
  // `db_` is there.
  void CommitWrites(CommitQueue::Run run);
  absl::Status CommitDrop(const std::string& prefix);
  absl::Status CopyTo(const std::string& path);
  // Writes and syncs, and raises the high water; on failure stops the shard.
  absl::Status Write(rocksdb::WriteBatch& batch);
  void TryResume();
  // If nothing went wrong for long enough.
  void EndFailure();
  // Tells that it takes writes again.
  void Resumed();

  const std::unique_ptr<ShardDatabase> database_;
  CommitStats stats_;
  std::atomic<bool> refusing_{false};  // whether `stopped_` is set
  std::atomic<bool> accepting_{true};
  std::atomic<bool> stopping_{false};
  const absl::Duration resume_interval_, proving_time_;
  const SystemClock clock_;

  // Of the commit thread.
  DatabasePtr db_;  // the same as database_'s; null while stopped
  HighWater high_water_;
  uint64_t acknowledged_;  // RocksDB's sequence number of the last synced write
  SequenceMap sequences_;
  // Why a write failed, until the database was opened anew. Set: all writes are refused with it.
  std::optional<absl::Status> stopped_;
  absl::Time next_resume_;
  // Since when it takes writes again, until its failure is over; monotonic.
  std::optional<absl::Time> resumed_;

  CommitQueue queue_;  // last: its thread uses the members above
};

}  // namespace cmkstore::store
