#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace cmkstore::dev_vault {

// The vault's calendar: another clock, moved by an offset that the admin API sets. It decides what
// is expired, how old a token is and when a deleted key is purged; waits are those of the other
// clock.
//
// Thread-safe. `base` must outlive this.
class SettableClock final : public Clock {
 public:
  explicit SettableClock(Clock& base) : base_(base) {}

  absl::Time WallNow() const override { return base_.WallNow() + offset(); }
  absl::Time MonotonicNow() const override { return base_.MonotonicNow(); }
  void Sleep(absl::Duration duration) override { base_.Sleep(duration); }

  absl::Duration offset() const {
    absl::MutexLock lock(&mutex_);
    return offset_;
  }
  void SetOffset(absl::Duration offset) {
    absl::MutexLock lock(&mutex_);
    offset_ = offset;
  }
  void SetNow(absl::Time now) { SetOffset(now - base_.WallNow()); }
  int64_t UnixNow() const { return absl::ToUnixSeconds(WallNow()); }

 private:
  Clock& base_;
  mutable absl::Mutex mutex_;
  absl::Duration offset_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::dev_vault
