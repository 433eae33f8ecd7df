#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "base/reasons.h"

namespace cmkstore::service {

// Why the gate turns a call away.
inline constexpr absl::string_view kRefusals[] = {
    "TOKEN_INVALID", "TOKEN_EXPIRED", "NETWORK_DENIED",
    "ACCESS_DENIED", "FIELD_INVALID", "QUOTA_EXCEEDED",
};
inline constexpr size_t kStatusCodes = 17;

// Calls of one method since start. Thread-safe.
struct MethodStats {
  explicit MethodStats(std::string method) : name(std::move(method)) {}

  const std::string name;  // "GetDocument"
  std::array<Counter, kStatusCodes> by_code{};
  Histogram latency = Histogram::OfLatencies();  // of unary calls
  std::atomic<int64_t> in_flight{0};
};

// Over all methods.
struct CallStats {
  Counter admitted;
  WordCounters refused{kRefusals};
  WordCounters errors{kReasonWords};
};

}  // namespace cmkstore::service
