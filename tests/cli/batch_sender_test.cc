// What an import sends, while the server is away for a time.

#include "cli/batch_sender.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace cmkstore::cli {
namespace {

using grpc::StatusCode;

// Answers as the script says, then with OK.
class ScriptedServer final : public v1::ProjectService::Service,
                             public v1::DocumentService::Service {
 public:
  ScriptedServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<v1::ProjectService::Service*>(this));
    builder.RegisterService(static_cast<v1::DocumentService::Service*>(this));
    server_ = builder.BuildAndStart();
  }

  grpc::Status CreateProject(grpc::ServerContext*, const v1::CreateProjectRequest*,
                             v1::Project*) override {
    return Next();
  }
  grpc::Status BatchWriteDocuments(grpc::ServerContext*, const v1::BatchWriteDocumentsRequest*,
                                   v1::BatchWriteDocumentsResponse*) override {
    return Next();
  }

  ConnectionOptions Options() const {
    ConnectionOptions options;
    options.endpoint = absl::StrCat("127.0.0.1:", port_);
    return options;
  }
  std::deque<StatusCode> script;
  std::string details;  // of each
  int calls = 0;

 private:
  grpc::Status Next() {
    ++calls;
    if (script.empty()) return grpc::Status::OK;
    const StatusCode code = script.front();
    script.pop_front();
    return {code, absl::StrCat("scripted, call ", calls), details};
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// An error that asks for a repeat in a moment.
std::string DetailsOf(StatusCode code, const std::string& reason) {
  google::rpc::Status wire;
  wire.set_code(code);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  wire.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(1000);
  wire.add_details()->PackFrom(retry);
  return wire.SerializeAsString();
}

class BatchSenderTest : public ::testing::Test {
 protected:
  ScriptedServer server_;
  absl::StatusOr<Connection> connection_ = Connection::Open(server_.Options());
  std::vector<StatusCode> waits_;
  BatchSender sender_{*connection_, /*create_projects=*/true, [this](const grpc::Status& status) {
                        waits_.push_back(status.error_code());
                      }};
};

TEST_F(BatchSenderTest, AProjectIsMadeThroughAnOutageAndOnce) {
  server_.script = {StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED};
  EXPECT_TRUE(sender_.EnsureProject("tenants/t/hubs/h", "p").ok());
  EXPECT_EQ(server_.calls, 3);
  EXPECT_TRUE(sender_.EnsureProject("tenants/t/hubs/h", "p").ok());
  EXPECT_EQ(server_.calls, 3) << "it is known to be there";
}

TEST_F(BatchSenderTest, AProjectWhoseFirstAnswerWasLostIsThere) {
  server_.script = {StatusCode::UNAVAILABLE, StatusCode::ALREADY_EXISTS};
  EXPECT_TRUE(sender_.EnsureProject("tenants/t/hubs/h", "p").ok());
}

TEST_F(BatchSenderTest, ARefusalIsNoOutage) {
  server_.script = {StatusCode::PERMISSION_DENIED};
  EXPECT_EQ(sender_.EnsureProject("tenants/t/hubs/h", "p").error_code(),
            StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(server_.calls, 1);
  EXPECT_TRUE(sender_.EnsureProject("tenants/t/hubs/h", "p").ok()) << "it was not made before";
  EXPECT_EQ(server_.calls, 2);
}

TEST_F(BatchSenderTest, ABatchIsInDoubtOnceAnAnswerWasMissedWhateverTheLastOneSays) {
  server_.script = {StatusCode::PERMISSION_DENIED};
  EXPECT_EQ(sender_.Send({}).error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_FALSE(sender_.in_doubt());
  server_.script = {StatusCode::DEADLINE_EXCEEDED, StatusCode::PERMISSION_DENIED};
  EXPECT_EQ(sender_.Send({}).error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(sender_.in_doubt());
}

TEST_F(BatchSenderTest, ABatchIsSentThroughAnOutageWhichIsToldOnce) {
  server_.script = {StatusCode::UNAVAILABLE, StatusCode::UNAVAILABLE};
  EXPECT_TRUE(sender_.Send(v1::BatchWriteDocumentsRequest()).ok());
  EXPECT_EQ(server_.calls, 3);
  EXPECT_EQ(waits_, std::vector<StatusCode>({StatusCode::UNAVAILABLE}));
  // Another cause, and a later outage, are news.
  server_.script = {StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED};
  EXPECT_TRUE(sender_.Send(v1::BatchWriteDocumentsRequest()).ok());
  EXPECT_EQ(waits_.size(), 3u);
  server_.script = {StatusCode::PERMISSION_DENIED};
  EXPECT_FALSE(sender_.Send(v1::BatchWriteDocumentsRequest()).ok());
  EXPECT_EQ(waits_.size(), 3u) << "it does not wait";
}

TEST_F(BatchSenderTest, AFullDiskIsToldAndABoundOnCallsIsNot) {
  for (const auto& [reason, told] : {std::pair("STORE_FULL", 1u), {"QUOTA_EXCEEDED", 0u}}) {
    server_.details = DetailsOf(StatusCode::RESOURCE_EXHAUSTED, reason);
    server_.script = {StatusCode::RESOURCE_EXHAUSTED, StatusCode::RESOURCE_EXHAUSTED};
    waits_.clear();
    EXPECT_TRUE(sender_.Send(v1::BatchWriteDocumentsRequest()).ok());
    EXPECT_EQ(waits_.size(), told) << reason;
  }
}

}  // namespace
}  // namespace cmkstore::cli
