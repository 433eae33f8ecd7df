#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/worker.h"
#include "store/engine.h"
#include "store/usage_table.h"

namespace cmkstore::service {

// Hours since 1970.
uint64_t HourOf(absl::Time time);

// What one hub has done that is not on disk yet. Thread-safe: counting is one relaxed addition.
class HubUsage {
 public:
  HubUsage(HubUid uid, store::Partition partition) : uid_(uid), partition_(std::move(partition)) {}

  void Count(store::UsageCounter counter, int64_t more = 1) {
    counts_[static_cast<size_t>(counter)].fetch_add(more, std::memory_order_relaxed);
  }
  // The hub has changed: its index will follow, so its size is looked at again.
  void NoteWrite() { looks_.store(kLooksAfterWrite, std::memory_order_relaxed); }

 private:
  friend class UsageMeter;
  // The index follows a little later than the write.
  static constexpr int kLooksAfterWrite = 2;

  const HubUid uid_;
  const store::Partition partition_;
  std::array<std::atomic<int64_t>, store::kUsageCounters> counts_{};
  std::atomic<int> looks_{kLooksAfterWrite};
  uint64_t pruned_day_ = 0;  // the flushing thread's
};

struct UsageMeterOptions {
  absl::Duration flush_interval = absl::Seconds(10);
  absl::Duration retention = absl::Hours(400 * 24);
};

// Counts what commits do not count themselves (reads, lists, searches, watches, control calls, key
// operations, size of the index) and adds it to the hubs' usage rows every `flush_interval`.
//
// A flush that the store refuses is added again with the next one, so nothing is counted twice; a
// crash loses what was counted since the last one. A commit of a flush waits for nothing that a
// call waits for, and all hubs of a shard share one sync.
//
// Thread-safe. Holds a hub's counts while somebody holds them or they are not on disk.
class UsageMeter {
 public:
  // `index_bytes`: size of the hub's index files now; reads the disk.
  UsageMeter(const UsageMeterOptions& options, store::Engine& engine, Clock& clock,
             std::function<int64_t(HubUid)> index_bytes);
  ~UsageMeter() { Stop(); }

  std::shared_ptr<HubUsage> Of(HubUid hub, const store::Partition& partition);

  // Starts a flush that is due; when the hour has turned, one for the hour that has ended. To be
  // called about every 100 ms; never blocks.
  void Tick();
  // Puts on disk all that was counted before the call. Blocking. Errors: the first of the store's;
  // what was refused is kept.
  absl::Status Flush();
  void Stop() { worker_.Stop(); }

  // All that was counted before is on disk.
  absl::Time counted_through() const;
  size_t hubs() const;
  const UsageMeterOptions& options() const { return options_; }

 private:
  absl::Status FlushInto(uint64_t hour);
  absl::Status FlushSome(absl::Span<const std::shared_ptr<HubUsage>> hubs, uint64_t hour);
  static void GiveBack(HubUsage& hub, const store::UsageNumbers& more);
  // What is to be added for the hub, taken out of its counts; also the deletion of what is too old.
  store::UsageNumbers Take(HubUsage& hub, uint64_t hour, store::WriteSet& writes);
  void DropUnused(std::vector<std::shared_ptr<HubUsage>> flushed);

  const UsageMeterOptions options_;
  store::Engine& engine_;
  Clock& clock_;
  const std::function<int64_t(HubUid)> index_bytes_;
  absl::Mutex flushing_;  // one at a time; held across I/O
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, std::shared_ptr<HubUsage>> hubs_ ABSL_GUARDED_BY(mutex_);
  absl::Time counted_through_ ABSL_GUARDED_BY(mutex_);
  uint64_t hour_;          // the ticking thread's: that counts belong to
  absl::Time next_flush_;  // the ticking thread's
  Worker worker_{{.name = "usage", .threads = 1, .max_queued = 2}};
};

}  // namespace cmkstore::service
