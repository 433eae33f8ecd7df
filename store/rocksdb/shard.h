#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "store/engine.h"
#include "store/rocksdb/high_water.h"

namespace cmkstore::store {

// What all shards of a process share.
struct ShardResources {
  std::shared_ptr<rocksdb::Cache> block_cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
  std::shared_ptr<rocksdb::RateLimiter> rate_limiter;
};

struct ShardLimits {
  size_t max_queued_writes = 16'384;
  size_t max_queued_bytes = 64u << 20;
  size_t max_batch_bytes = 8u << 20;
};

// One RocksDB with its commit thread: a queue of write sets goes in, one synced batch at a time
// comes out.
//
// The one thread is what makes preconditions atomic without locks and groups commits without
// tuning: all that queued while a sync was under way goes into the next batch. Thread-safe.
class Shard {
 public:
  // Errors: STORE_CORRUPT (damage, or fewer writes than were acknowledged), STATE_INVALID (in use
  // by another process), FORMAT_TOO_NEW.
  static absl::StatusOr<std::unique_ptr<Shard>> Open(const std::string& path,
                                                     const ShardResources& resources,
                                                     const ShardLimits& limits);
  ~Shard();

  void Apply(std::string prefix, WriteSet writes, Engine::Done done);
  absl::StatusOr<Sequence> LastSequence(absl::string_view prefix) const;
  absl::Status DropPartition(absl::string_view prefix);
  rocksdb::DB& db() const { return *db_; }

 private:
  struct Queued {
    std::string prefix;
    WriteSet writes;
    Engine::Done done;
  };
  class Batch;

  Shard(std::unique_ptr<rocksdb::DB> db, HighWater high_water, const ShardLimits& limits);
  void CommitLoop();
  void Commit(std::vector<Queued>& queued);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopped_ || !queue_.empty(); }

  const std::unique_ptr<rocksdb::DB> db_;
  const ShardLimits limits_;

  absl::Mutex mutex_;
  std::vector<Queued> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the commit thread.
  HighWater high_water_;
  absl::flat_hash_map<std::string, Sequence> sequences_;
  std::optional<absl::Status>
      broken_;  // a write failed: what is on disk is not known until reopened
  std::thread thread_;
};

}  // namespace cmkstore::store
