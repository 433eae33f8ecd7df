#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/metrics.h"

namespace cmkstore::service {

// Every reason that base/errors.h makes; another one counts as "other".
inline constexpr absl::string_view kReasons[] = {
    "ACCESS_DENIED",      "CUSTOMER_KEY_REVOKED", "CUSTOMER_KEY_UNFIT", "DEADLINE_EXCEEDED",
    "DEK_RECORD_CORRUPT", "DOCUMENT_CORRUPT",     "DOCUMENT_EXISTS",    "DOCUMENT_NOT_FOUND",
    "ETAG_MISMATCH",      "FIELD_INVALID",        "FORMAT_TOO_NEW",     "HUB_LOCKED",
    "HUB_NOT_FOUND",      "INDEX_CORRUPT",        "INVARIANT",          "NETWORK_DENIED",
    "PROJECT_NOT_FOUND",  "QUOTA_EXCEEDED",       "STATE_INVALID",      "STORE_BUSY",
    "STORE_CORRUPT",      "STORE_FULL",           "TOKEN_EXPIRED",      "TOKEN_INVALID",
    "VAULT_LOGIN_FAILED", "VAULT_THROTTLED",      "VAULT_UNREACHABLE",  "CANCELLED",
};
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
  WordCounters errors{kReasons};
};

}  // namespace cmkstore::service
