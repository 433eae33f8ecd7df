#include "base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace cmkstore {

absl::Time SystemClock::WallNow() const { return absl::Now(); }

absl::Time SystemClock::MonotonicNow() const {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

void SystemClock::Sleep(absl::Duration duration) { absl::SleepFor(duration); }

}  // namespace cmkstore
