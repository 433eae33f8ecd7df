#include "service/goaway.h"

#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/time/clock.h"
#include "cmkstore/v1/document_service.grpc.pb.h"

namespace cmkstore::service {
namespace {

class GoawayTest : public ::testing::Test {
 protected:
  std::unique_ptr<grpc::Server> StartServer() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    return builder.BuildAndStart();
  }

  v1::DocumentService::Service service_;
};

TEST_F(GoawayTest, IsSentWithinItsTime) {
  const auto server = StartServer();
  EXPECT_TRUE(SendGoaways(*server, absl::Now() + absl::Seconds(20)));
}

// Nothing of it comes later, when the server is gone.
TEST_F(GoawayTest, IsGivenUpWhenItsTimeIsOver) {
  int given_up = 0;
  for (int i = 0; i < 100; ++i) {
    const auto server = StartServer();
    if (!SendGoaways(*server, absl::InfinitePast())) ++given_up;
  }
  EXPECT_GT(given_up, 0) << "it waits, whatever its deadline";
}

}  // namespace
}  // namespace cmkstore::service
