#include "cli/failure.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/failure_advice.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace cmkstore::cli {
namespace {

template <typename Detail>
bool Find(const google::rpc::Status& wire, Detail& detail) {
  for (const auto& any : wire.details()) {
    if (any.UnpackTo(&detail)) return true;
  }
  return false;
}

// An error with its details, ready to print.
struct Failure {
  std::string code, reason, message, advice, request_id;
  std::vector<std::pair<std::string, std::string>> violations;
  double retry_after_seconds = 0;
};

Failure Read(const grpc::Status& status) {
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) wire.Clear();
  Failure failure;
  failure.code = absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
  failure.message = status.error_message();
  if (google::rpc::ErrorInfo info; Find(wire, info)) failure.reason = info.reason();
  if (google::rpc::BadRequest bad; Find(wire, bad)) {
    for (const auto& one : bad.field_violations()) {
      failure.violations.emplace_back(one.field(), one.description());
    }
  }
  if (google::rpc::PreconditionFailure unmet; Find(wire, unmet)) {
    for (const auto& one : unmet.violations()) {
      failure.violations.emplace_back(one.subject(), one.description());
    }
  }
  if (google::rpc::RetryInfo retry; Find(wire, retry)) {
    failure.retry_after_seconds = static_cast<double>(retry.retry_delay().seconds()) +
                                  static_cast<double>(retry.retry_delay().nanos()) / 1e9;
  }
  if (google::rpc::RequestInfo request; Find(wire, request)) {
    failure.request_id = request.request_id();
  }
  failure.advice = AdviceFor(status, failure.reason);
  if (google::rpc::QuotaFailure quotas; Find(wire, quotas)) {
    for (const auto& one : quotas.violations()) {
      failure.violations.emplace_back(one.subject(), one.description());
      failure.advice = AdviceForQuota(one.quota_id());
    }
  }
  return failure;
}

void PrintText(const Failure& failure) {
  // One violation is the whole message; more of them get a line each.
  const bool listed = failure.violations.size() > 1;
  std::string line =
      listed ? failure.message.substr(0, failure.message.find(": ")) : failure.message;
  if (listed && failure.reason == "FIELD_INVALID") line = "the request is not valid";
  if (!failure.reason.empty()) line += " [" + failure.reason + "]";
  std::fprintf(stderr, "cmkctl: %s\n", Printable(line).c_str());
  for (const auto& [subject, description] : failure.violations) {
    if (!listed) break;
    std::fprintf(stderr, "  %s: %s\n", Printable(subject).c_str(), Printable(description).c_str());
  }
  if (failure.retry_after_seconds > 0) {
    std::fprintf(stderr, "  try again in %.3g s\n", failure.retry_after_seconds);
  }
  if (!failure.advice.empty()) std::fprintf(stderr, "  %s\n", failure.advice.c_str());
  if (failure.reason == "INVARIANT") {
    std::fprintf(stderr, "  request %s\n", Printable(failure.request_id).c_str());
  }
}

void PrintJson(const Failure& failure, ExitCode exit_code) {
  nlohmann::json error = {{"code", failure.code},
                          {"reason", failure.reason},
                          {"message", failure.message},
                          {"exit_code", static_cast<int>(exit_code)}};
  for (const auto& [subject, description] : failure.violations) {
    error["violations"].push_back({{"subject", subject}, {"description", description}});
  }
  if (failure.retry_after_seconds > 0) error["retry_after_seconds"] = failure.retry_after_seconds;
  if (!failure.advice.empty()) error["advice"] = failure.advice;
  if (!failure.request_id.empty()) error["request_id"] = failure.request_id;
  const nlohmann::json line = {{"error", std::move(error)}};
  std::fprintf(stderr, "%s\n",
               line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
}

ExitCode Print(const Failure& failure, ExitCode exit_code, ErrorStyle style) {
  FlushOutput();
  if (style == ErrorStyle::kJson) {
    PrintJson(failure, exit_code);
  } else {
    PrintText(failure);
  }
  return exit_code;
}

// Of what was refused here, before any call.
Failure OfOurs(const absl::Status& status) {
  Failure failure;
  failure.code = "INVALID_ARGUMENT";
  failure.message = std::string(status.message());
  return failure;
}

}  // namespace

std::string ReasonOf(const grpc::Status& status) { return Read(status).reason; }

std::vector<std::pair<std::string, std::string>> ViolationsOf(const grpc::Status& status) {
  return Read(status).violations;
}

absl::Duration RetryAfterOf(const grpc::Status& status) {
  return absl::Seconds(Read(status).retry_after_seconds);
}

ExitCode ExitCodeOf(const grpc::Status& status) {
  const std::string reason = ReasonOf(status);
  switch (status.error_code()) {
    case grpc::StatusCode::OK: return kOk;
    case grpc::StatusCode::NOT_FOUND: return kNotFound;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: return kDenied;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::ABORTED: return kConflict;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return reason == "STATE_INVALID"    ? kConflict
             : reason == "FORMAT_TOO_NEW" ? kUnexpected
                                          : kKeyRefused;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return IsRequestTooLarge(status, reason) ? kInvalidInput : kUnavailable;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED: return kUnavailable;
    case grpc::StatusCode::DATA_LOSS: return kCorrupt;
    case grpc::StatusCode::INVALID_ARGUMENT: return kInvalidInput;
    default: return kUnexpected;
  }
}

ExitCode Report(const grpc::Status& status, ErrorStyle style) {
  if (status.ok()) return kOk;
  return Print(Read(status), ExitCodeOf(status), style);
}

ExitCode ReportUsage(const absl::Status& status, ErrorStyle style) {
  if (status.ok()) return kOk;
  Failure failure = OfOurs(status);
  if (style == ErrorStyle::kJson) failure.reason = "USAGE";
  return Print(failure, kUsage, style);
}

ExitCode ReportInput(const absl::Status& status, ErrorStyle style) {
  Failure failure = OfOurs(status);
  failure.reason = "FIELD_INVALID";
  return Print(failure, kInvalidInput, style);
}

}  // namespace cmkstore::cli
