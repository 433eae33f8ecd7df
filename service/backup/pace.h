#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace cmkstore::service {

// Holds work that moves bytes to a rate, so that those who are served do not feel it; and asks in
// between whether to go on. One thread's. `clock` must outlive it.
class Pace {
 public:
  // `bytes_per_second` 0: as fast as it goes. `go_on` is asked for each portion, and at least each
  // 100 ms of a wait.
  Pace(Clock& clock, uint64_t bytes_per_second, std::function<absl::Status()> go_on)
      : clock_(clock),
        rate_(static_cast<double>(bytes_per_second)),
        go_on_(std::move(go_on)),
        next_(clock.MonotonicNow()) {}

  // After `bytes` were moved. Errors: that of `go_on`.
  absl::Status Spent(uint64_t bytes) {
    CMK_RETURN_IF_ERROR(go_on_());
    if (rate_ == 0) return absl::OkStatus();
    // Time in which nothing was moved is not made up for.
    next_ = std::max(next_, clock_.MonotonicNow() - kBurst) +
            absl::Seconds(static_cast<double>(bytes) / rate_);
    for (absl::Duration wait; (wait = next_ - clock_.MonotonicNow()) > kBurst;) {
      clock_.Sleep(std::min(wait, kSlice));
      CMK_RETURN_IF_ERROR(go_on_());
    }
    return absl::OkStatus();
  }

 private:
  static constexpr absl::Duration kSlice = absl::Milliseconds(100);
  static constexpr absl::Duration kBurst = absl::Milliseconds(10);

  Clock& clock_;
  const double rate_;
  const std::function<absl::Status()> go_on_;
  absl::Time next_;  // when what was moved so far was due
};

}  // namespace cmkstore::service
