#pragma once

#include <grpcpp/server.h>

#include "absl/time/time.h"

namespace cmkstore::service {

// Asks the clients of every connection to begin no more calls on it; calls under way, and calls
// that arrive before the client has read this, go on. Each connection ends with its last call
// (docs/adr/0011-goaway-before-shutdown.md). False: no thread of gRPC came to it before `deadline`,
// and none will; `server` may go.
bool SendGoaways(grpc::Server& server, absl::Time deadline);

}  // namespace cmkstore::service
