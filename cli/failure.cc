#include "cli/failure.h"

#include <cstdio>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace cmkstore::cli {
namespace {

template <typename Detail>
bool Find(const grpc::Status& status, Detail& detail) {
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) return false;
  for (const auto& any : wire.details()) {
    if (any.UnpackTo(&detail)) return true;
  }
  return false;
}

}  // namespace

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  return Find(status, info) ? info.reason() : "";
}

ExitCode ExitCodeOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK: return kOk;
    case grpc::StatusCode::NOT_FOUND: return kNotFound;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: return kDenied;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::ABORTED: return kConflict;
    case grpc::StatusCode::FAILED_PRECONDITION: return kKeyRefused;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::DEADLINE_EXCEEDED: return kUnavailable;
    case grpc::StatusCode::DATA_LOSS: return kCorrupt;
    case grpc::StatusCode::INVALID_ARGUMENT: return kInvalidInput;
    default: return kUnexpected;
  }
}

ExitCode Report(const grpc::Status& status) {
  if (status.ok()) return kOk;
  const std::string reason = ReasonOf(status);
  std::fprintf(stderr, "cmkctl: %s%s%s%s\n", status.error_message().c_str(),
               reason.empty() ? "" : " [", reason.c_str(), reason.empty() ? "" : "]");
  google::rpc::PreconditionFailure failure;
  if (Find(status, failure)) {
    for (const auto& violation : failure.violations()) {
      std::fprintf(stderr, "  %s: %s\n", violation.subject().c_str(),
                   violation.description().c_str());
    }
  }
  google::rpc::RetryInfo retry;
  if (Find(status, retry)) {
    std::fprintf(stderr, "  try again in %lld s\n",
                 static_cast<long long>(retry.retry_delay().seconds() + 1));
  }
  return ExitCodeOf(status);
}

}  // namespace cmkstore::cli
