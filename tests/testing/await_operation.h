#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "google/longrunning/operations.grpc.pb.h"

namespace cmkstore::testing {

// Waits until the server says that the operation is done; `call` makes the context of each wait.
// Returns the first refusal.
template <typename Call>
grpc::Status AwaitOperation(const std::shared_ptr<grpc::Channel>& channel, const Call& call,
                            google::longrunning::Operation& operation) {
  const auto operations = google::longrunning::Operations::NewStub(channel);
  grpc::Status status;
  while (status.ok() && !operation.done()) {
    google::longrunning::WaitOperationRequest wait;
    wait.set_name(operation.name());
    status = operations->WaitOperation(call().get(), wait, &operation);
  }
  return status;
}

}  // namespace cmkstore::testing
