#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"

namespace cmkstore::testing {

// The system's clock, ahead by what a test says. Thread-safe.
class OffsetClock final : public Clock {
 public:
  absl::Time WallNow() const override { return system_.WallNow() + Ahead(); }
  absl::Time MonotonicNow() const override { return system_.MonotonicNow() + Ahead(); }
  void Sleep(absl::Duration duration) override { system_.Sleep(duration); }

  void Advance(absl::Duration duration) { ahead_ += absl::ToInt64Microseconds(duration); }

 private:
  absl::Duration Ahead() const { return absl::Microseconds(ahead_.load()); }

  SystemClock system_;
  std::atomic<int64_t> ahead_{0};
};

}  // namespace cmkstore::testing
