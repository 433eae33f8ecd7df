#include "service/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/reasons.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com";

template <typename Detail>
void Attach(const Detail& detail, google::rpc::Status& status) {
  status.add_details()->PackFrom(detail, kTypePrefix);
}

void AttachViolations(const absl::Status& status, google::rpc::Status& wire) {
  const std::vector<Violation> violations = ViolationsOf(status);
  if (violations.empty()) return;
  if (status.code() == absl::StatusCode::kFailedPrecondition) {
    google::rpc::PreconditionFailure detail;
    for (const Violation& violation : violations) {
      auto* one = detail.add_violations();
      one->set_type("VAULT_KEY");
      one->set_subject(violation.subject);
      one->set_description(violation.description);
    }
    return Attach(detail, wire);
  }
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    google::rpc::QuotaFailure detail;
    for (const Violation& violation : violations) {
      auto* one = detail.add_violations();
      one->set_subject(violation.subject);
      one->set_description(violation.description);
      one->set_quota_id(CauseOf(status));
    }
    return Attach(detail, wire);
  }
  google::rpc::BadRequest detail;
  for (const Violation& violation : violations) {
    auto* one = detail.add_field_violations();
    one->set_field(violation.subject);
    one->set_description(violation.description);
  }
  Attach(detail, wire);
}

}  // namespace

absl::Status Presentable(const absl::Status& status, absl::string_view what_to_report,
                         LogFields fields) {
  const std::string reason = ReasonOf(status);
  const Reason* known = FindReason(reason);
  if (known != nullptr && known->code == status.code() && reason != "INVARIANT") return status;
  fields.emplace_back("reason", reason);
  fields.emplace_back("detail", std::string(status.message()));
  Log(LogLevel::kError, "invariant_broken", fields);
  return MakeError(absl::StatusCode::kInternal, "INVARIANT",
                   absl::StrCat("internal error; report ", what_to_report));
}

grpc::Status ToGrpcStatus(const absl::Status& status, absl::string_view request_id) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status shown = Presentable(status, absl::StrCat("request ", request_id),
                                         {{"request_id", std::string(request_id)}});
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(shown.code()));
  wire.set_message(std::string(shown.message()));
  google::rpc::ErrorInfo info;
  info.set_reason(ReasonOf(shown));
  info.set_domain("cmkstore");
  Attach(info, wire);
  if (const auto retry = RetryAfterOf(shown)) {
    google::rpc::RetryInfo detail;
    *detail.mutable_retry_delay() = ToDuration(*retry);
    Attach(detail, wire);
  }
  AttachViolations(shown, wire);
  google::rpc::RequestInfo request;
  request.set_request_id(std::string(request_id));
  Attach(request, wire);
  return grpc::Status(static_cast<grpc::StatusCode>(wire.code()), wire.message(),
                      wire.SerializeAsString());
}

}  // namespace cmkstore::service
