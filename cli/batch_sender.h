#pragma once

#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/functional/function_ref.h"
#include "cli/connection.h"
#include "cmkstore/v1/document_service.grpc.pb.h"

namespace cmkstore::cli {

// The place of the write of a batch that an error is about; nothing if it is about no single one.
std::optional<size_t> WriteOf(const grpc::Status& status);
// Whether a batch was refused because its request id names another one.
bool IsUsedRequestId(const grpc::Status& status);
// What is wrong with that write, without its place within the batch.
std::string RefusalText(const grpc::Status& status);

// Sends batches of writes of one hub; outlasts outages of the server of up to a minute, and heeds a
// bound on calls a second.
class BatchSender {
 public:
  // `connection` must outlive this. `create_projects`: makes projects that do not exist.
  // `waits` is told what an outage is for, once until it is over or has another cause; of a bound
  // on calls nothing, for that is no outage.
  BatchSender(const Connection& connection, bool create_projects,
              std::function<void(const grpc::Status&)> waits);

  // A repeat with the same request_id stores nothing twice.
  grpc::Status Send(const v1::BatchWriteDocumentsRequest& batch);
  // Whether an answer was ever missed: a batch may be stored though the last word of it is an
  // error.
  bool in_doubt() const { return in_doubt_; }
  // For a project that is about to be written to.
  grpc::Status EnsureProject(const std::string& hub, const std::string& project);

 private:
  // Makes the call again while the server is not available or asks to slow down.
  grpc::Status Outlast(absl::FunctionRef<grpc::Status()> call);

  const Connection& connection_;
  const bool create_projects_;
  const std::function<void(const grpc::Status&)> waits_;
  const std::unique_ptr<v1::DocumentService::Stub> documents_;
  std::set<std::string> ensured_;
  bool in_doubt_ = false;
};

}  // namespace cmkstore::cli
