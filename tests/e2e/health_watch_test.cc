// grpc.health.v1 Watch: what clients that check the server's health themselves are told.

#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "service/public_methods.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthWatchTest : public ServedHub {
 protected:
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
    HealthCheckResponse::ServingStatus Next() {
      HealthCheckResponse response;
      return reader->Read(&response) ? response.status() : HealthCheckResponse::UNKNOWN;
    }
    grpc::Status End() {
      HealthCheckResponse more;
      while (reader->Read(&more)) continue;
      return reader->Finish();
    }
  };

  void SetUp() override {
    StartServer();
    channel_ = server_->InProcessChannel();
  }
  std::unique_ptr<Stream> Watch(const std::string& service = "") {
    auto stream = std::make_unique<Stream>();
    stream->context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    HealthCheckRequest request;
    request.set_service(service);
    stream->reader = Health::NewStub(channel_)->Watch(&stream->context, request);
    return stream;
  }
};

TEST_F(HealthWatchTest, AWatchIsToldTheStateAtOnceAndEachChange) {
  const auto all = Watch(), one = Watch("cmkstore.v1.HubService"), none = Watch("no.such.Service");
  EXPECT_EQ(all->Next(), HealthCheckResponse::SERVING);
  EXPECT_EQ(one->Next(), HealthCheckResponse::SERVING);
  EXPECT_EQ(none->Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  server_->StopBeingReady();
  EXPECT_EQ(all->Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(one->Next(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthWatchTest, TheEndOfTheServerEndsAWatchBeforeItsGraceHasPassed) {
  const auto stream = Watch();
  EXPECT_EQ(stream->Next(), HealthCheckResponse::SERVING);
  grpc::Status end;
  std::thread client([&] { end = stream->End(); });
  const absl::Time begin = absl::Now();
  server_->Shutdown(absl::Seconds(30));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(15));
  client.join();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(end.error_message(), "the server shuts down");
}

TEST_F(HealthWatchTest, WatchesAreBoundedAndOneThatHasGoneMakesRoom) {
  std::vector<std::unique_ptr<Stream>> streams;
  for (size_t i = 0; i < service::HealthMethod::kMaxWatches; ++i) {
    streams.push_back(Watch());
    ASSERT_EQ(streams.back()->Next(), HealthCheckResponse::SERVING) << i;
  }
  EXPECT_EQ(Watch()->End().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  streams.front()->context.TryCancel();
  streams.front()->End();
  HealthCheckResponse::ServingStatus again = HealthCheckResponse::UNKNOWN;
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (again == HealthCheckResponse::UNKNOWN && absl::Now() < give_up) again = Watch()->Next();
  EXPECT_EQ(again, HealthCheckResponse::SERVING);
}

}  // namespace
}  // namespace cmkstore
