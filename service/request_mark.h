#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "crypto/digest.h"

namespace cmkstore::service {

// How a hub or a project remembers the call that made it, so that a repeat is told the first
// result: a digest of request_id and request, kept in the record itself. Without the request_id it
// tells nothing of the request.

inline constexpr absl::Duration kRepeatLifetime = absl::Hours(24);

// Empty without a request_id. Protos do not promise one serialization for ever, but within a day
// and a version they keep it.
template <typename Request>
std::string RequestMark(const Request& request) {
  if (request.request_id().empty()) return "";
  return crypto::Sha256(
      absl::StrCat(request.request_id(), crypto::Sha256(request.SerializeAsString())));
}

// Whether the call with `mark` is the one that made this record, repeated in time.
template <typename Record>
bool IsRepeat(const Record& record, const std::string& mark, absl::Time now) {
  return !mark.empty() && record.create_mark() == mark &&
         now < absl::FromUnixMicros(record.create_time_micros()) + kRepeatLifetime;
}

}  // namespace cmkstore::service
