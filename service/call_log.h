#pragma once

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/call_stats.h"

namespace cmkstore::service {

// Writes a line about a call that failed by a fault of the service or of a vault (`call_failed`),
// that was slow (`call_slow`), or, at level debug, that was refused (`call_refused`): method,
// reason, request id, time taken, and the trace that its caller sent it under. Nothing of its
// content.
void LogCall(const MethodStats& method, const grpc::ServerContext& context,
             const std::string& request_id, const absl::Status& status, absl::Duration taken);

}  // namespace cmkstore::service
