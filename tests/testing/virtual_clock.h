#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace cmkstore::testing {

// A clock that moves only when told: Sleep and Advance move it, nothing else does. Thread-safe.
class VirtualClock final : public Clock {
 public:
  absl::Time WallNow() const override {
    absl::MutexLock lock(&mutex_);
    return now_;
  }
  absl::Time MonotonicNow() const override { return WallNow(); }
  void Sleep(absl::Duration duration) override { Advance(duration); }

  void Advance(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'800'000'000);
};

}  // namespace cmkstore::testing
