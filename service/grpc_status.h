#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/log.h"

namespace cmkstore::service {

// The status as it may be told: one that says that an invariant is broken, or that was not made by
// base/errors.h, is logged with `fields`, and becomes an INTERNAL that says nothing but what to
// report.
absl::Status Presentable(const absl::Status& status, absl::string_view what_to_report,
                         LogFields fields);

// The status as a client sees it: code, message and google.rpc details (ErrorInfo, RetryInfo,
// BadRequest or PreconditionFailure, RequestInfo), made presentable.
grpc::Status ToGrpcStatus(const absl::Status& status, absl::string_view request_id);

}  // namespace cmkstore::service
