#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace cmkstore {

// Bounds the lines of each event of the log, so that one thing that goes wrong a thousand times a
// second neither fills the disk nor hides the others: a burst of 50 lines, then 5 a second.
//
// Thread-safe. Events are constants of the code, so their number is bounded; beyond 1,000 all share
// one bucket.
class LogLimiter {
 public:
  // Whether a line of `event` may be written at `now`, of a clock that only moves forward; then
  // with how many were held back since the last one.
  std::optional<uint64_t> Admit(absl::string_view event, absl::Time now);
  // Gives every event its whole burst again, for a log that starts anew in another place.
  void Refill();
  // Lines held back since the start, over all events.
  uint64_t held_back() const { return held_back_.load(std::memory_order_relaxed); }

 private:
  struct Bucket {
    double lines = 0;
    absl::Time filled;
    uint64_t held_back = 0;
  };

  std::atomic<uint64_t> held_back_{0};
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore
