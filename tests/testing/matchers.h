#pragma once

#include <gmock/gmock.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/errors.h"

namespace cmkstore::testing {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// An error of this reason, whose message contains `fragment`.
MATCHER_P2(FailsWith, reason, fragment, "") {
  const absl::Status& status = StatusOf(arg);
  *result_listener << status.ToString();
  return !status.ok() && ReasonOf(status) == reason &&
         std::string(status.message()).find(fragment) != std::string::npos;
}

}  // namespace cmkstore::testing
