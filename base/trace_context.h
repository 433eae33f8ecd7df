#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore {

// What of a caller's W3C trace context we use. Both in lower-case hex, fit for a log.
struct TraceContext {
  std::string trace_id;   // 32
  std::string parent_id;  // 16
};

// Reads a `traceparent` header (W3C Trace Context, version 00 and what later versions keep of it).
// Anything malformed is nothing: a caller's header must never fail a call. Pure.
std::optional<TraceContext> ParseTraceparent(absl::string_view header);

}  // namespace cmkstore
