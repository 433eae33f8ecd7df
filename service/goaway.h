#pragma once

#include <grpcpp/server.h>

namespace cmkstore::service {

// Asks the clients of every connection to begin no more calls on it; calls under way, and calls
// that arrive before the client has read this, go on. Each connection ends with its last call
// (docs/adr/0011-goaway-before-shutdown.md).
void SendGoaways(grpc::Server& server);

}  // namespace cmkstore::service
