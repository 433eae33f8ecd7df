#pragma once

namespace cmkstore::service {

// From now on what the gRPC library has to say goes to our log, as event "grpc": one JSON line
// each, redacted and rate-limited as all of them. Before anything of gRPC is used; never taken
// back.
void TakeOverGrpcLog();

}  // namespace cmkstore::service
