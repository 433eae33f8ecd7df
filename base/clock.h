#pragma once

#include "absl/time/time.h"

namespace cmkstore {

// Time as an argument, so that a test can own it.
//
// WallNow is the calendar; it may jump. MonotonicNow only moves forward and says nothing about the
// calendar: compare its values with each other only. Ages and timeouts use MonotonicNow, deadlines
// that cross an API use WallNow.
//
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time WallNow() const = 0;
  virtual absl::Time MonotonicNow() const = 0;
  // Blocks the calling thread for `duration` of this clock.
  virtual void Sleep(absl::Duration duration) = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time WallNow() const override;
  absl::Time MonotonicNow() const override;
  void Sleep(absl::Duration duration) override;
};

}  // namespace cmkstore
