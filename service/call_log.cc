#include "service/call_log.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/trace_context.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kSlow = absl::Seconds(2);

bool IsOurFault(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kDeadlineExceeded: return true;
    default: return false;
  }
}

}  // namespace

void LogCall(const MethodStats& method, const grpc::ServerContext& context,
             const std::string& request_id, const absl::Status& status, absl::Duration taken) {
  const bool failed = IsOurFault(status.code());
  const bool slow = taken > kSlow;
  if (status.ok() && !slow) return;
  const LogLevel level = failed || slow ? LogLevel::kWarning : LogLevel::kDebug;
  if (!LogEnabled(level)) return;
  LogFields fields = {{"method", method.name},
                      {"request_id", request_id},
                      {"code", absl::StatusCodeToString(status.code())},
                      {"reason", ReasonOf(status)},
                      {"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(taken))}};
  const auto& metadata = context.client_metadata();
  if (const auto found = metadata.find("traceparent"); found != metadata.end()) {
    const auto trace = ParseTraceparent({found->second.data(), found->second.size()});
    if (trace.has_value()) {
      fields.emplace_back("trace_id", trace->trace_id);
      fields.emplace_back("parent_id", trace->parent_id);
    }
  }
  Log(level, failed ? "call_failed" : slow ? "call_slow" : "call_refused", fields);
}

}  // namespace cmkstore::service
