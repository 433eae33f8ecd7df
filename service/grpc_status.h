#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace cmkstore::service {

// The status as a client sees it: code, message and google.rpc details (ErrorInfo, RetryInfo,
// BadRequest or PreconditionFailure, RequestInfo). A broken invariant, and any status that was not
// made by base/errors.h, shows nothing but the request id; the rest goes to the log.
grpc::Status ToGrpcStatus(const absl::Status& status, absl::string_view request_id);

}  // namespace cmkstore::service
