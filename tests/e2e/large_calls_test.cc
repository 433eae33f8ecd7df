// What calls may hold in memory: messages that are large, malformed, or asked for and never read.

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class LargeCallsTest : public ServedHub {
 protected:
  void SetUp() override {
    SetUpHub();
    ASSERT_FALSE(HasFatalFailure());
  }
  void Adjust(service::ServerOptions& options) override {
    options.rpc.max_bytes_under_way = max_bytes_under_way_;
  }
  // Over a socket: in process there is no flow control. With a window that does not grow, or gRPC
  // takes in what nobody has asked for.
  std::shared_ptr<grpc::Channel> Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }

  size_t max_bytes_under_way_ = service::RpcServerOptions().max_bytes_under_way;
};

// A token and room are looked for before the message is parsed, which may be much work.
TEST_F(LargeCallsTest, AMessageForWhichThereIsNoRoomIsNotParsed) {
  max_bytes_under_way_ = 256u << 10;  // 64 KiB of one tenant
  StartServer();
  const std::string garbage(80u << 10, '\xff');
  const grpc::Slice slice(garbage);
  const auto send = [&](std::unique_ptr<grpc::ClientContext> context) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::ByteBuffer request(&slice, 1), response;
    auto call = stub.PrepareUnaryCall(context.get(), "/cmkstore.v1.DocumentService/UpdateDocument",
                                      request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ReasonOf(status);
  };
  EXPECT_EQ(send(As("owner")), "QUOTA_EXCEEDED");
  EXPECT_EQ(send(std::make_unique<grpc::ClientContext>()), "TOKEN_INVALID");
}

// Neither the token nor a bound is looked at before gRPC would have inflated it.
TEST_F(LargeCallsTest, ACompressedMessageIsRefusedAndNotInflated) {
  const auto channel = Connect();
  v1::UpdateDocumentRequest bomb;
  bomb.mutable_document()->set_name(NameOf("d1"));
  bomb.mutable_document()->set_content(std::string(12u << 20, '0'));
  HealthCheckRequest health_bomb;
  health_bomb.set_service(std::string(12u << 20, '0'));
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    for (auto& context : {std::make_unique<grpc::ClientContext>(), As("contributor")}) {
      context->set_compression_algorithm(algorithm);
      v1::Document stored;
      const grpc::Status refused =
          v1::DocumentService::NewStub(channel)->UpdateDocument(context.get(), bomb, &stored);
      EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNIMPLEMENTED) << ReasonOf(refused);
    }
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    HealthCheckResponse health;
    EXPECT_EQ(Health::NewStub(channel)->Check(&context, health_bomb, &health).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
  EXPECT_EQ(ReasonOf(Put("d1", "{}")), "OK");
}

TEST_F(LargeCallsTest, WhatIsKeptForAsLongAsItsCallerLikesIsSmall) {
  HealthCheckRequest large;
  large.set_service(std::string(17u << 10, 'x'));
  HealthCheckResponse health;
  const auto stub = Health::NewStub(channel_);
  grpc::ClientContext checking, watching;
  EXPECT_EQ(stub->Check(&checking, large, &health).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  const auto stream = stub->Watch(&watching, large);
  EXPECT_FALSE(stream->Read(&health));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::WatchDocumentsRequest watch;
  watch.set_parent(kHub);
  watch.GetReflection()->MutableUnknownFields(&watch)->AddLengthDelimited(
      1000, std::string(17u << 10, 'x'));
  const auto context = As("reader");
  const auto changes = documents_->WatchDocuments(context.get(), watch);
  v1::WatchDocumentsResponse part;
  EXPECT_FALSE(changes->Read(&part));
  const grpc::Status refused = changes->Finish();
  EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
  EXPECT_THAT(refused.error_message(), ::testing::HasSubstr("16384 bytes"));
}

TEST_F(LargeCallsTest, LargeAnswersThatNobodyReadsAreBounded) {
  max_bytes_under_way_ = 16u << 20;  // 4 MiB of one tenant
  StartServer();
  v1::BatchGetDocumentsRequest read;
  read.set_parent(kHub);
  v1::Document stored;
  for (int i = 0; i < 3; ++i) {
    const std::string content = absl::StrCat("\"", std::string(1'000'000, 'x'), "\"");
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), content, &stored)), "OK");
    read.add_names(stored.name());
  }
  const auto stub = v1::DocumentService::NewStub(Connect());
  grpc::CompletionQueue queue;
  const auto context = As("reader");
  auto unread = stub->AsyncBatchGetDocuments(context.get(), read, &queue);
  unread->ReadInitialMetadata(nullptr);  // the answer has begun; its message is not asked for
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  v1::BatchGetDocumentsResponse found;
  const auto again = [&] {
    return ReasonOf(documents_->BatchGetDocuments(As("reader").get(), read, &found));
  };
  EXPECT_EQ(again(), "QUOTA_EXCEEDED");
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(ReasonOf(Put("d1", "{}")), "OK") << "what was written is told";
  context->TryCancel();
  grpc::Status ended;
  unread->Finish(&found, &ended, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (again() != "OK" && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(again(), "OK");
}

TEST_F(LargeCallsTest, SmallCallsThatStayAreBoundedToo) {
  max_bytes_under_way_ = 256u << 10;  // 64 KiB of one tenant: three watches
  StartServer();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  v1::WatchDocumentsRequest watch;
  watch.set_parent(kHub);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchDocumentsResponse>>> streams;
  const auto begin = [&] {
    contexts.push_back(As("reader"));
    streams.push_back(documents_->WatchDocuments(contexts.back().get(), watch));
    v1::WatchDocumentsResponse part;
    return streams.back()->Read(&part);
  };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(begin()) << i;
  EXPECT_FALSE(begin());
  EXPECT_EQ(ReasonOf(streams.back()->Finish()), "QUOTA_EXCEEDED");
  EXPECT_EQ(ReasonOf(Put("d1", "{}")), "QUOTA_EXCEEDED");
  contexts.front()->TryCancel();
  (void)streams.front()->Finish();
  const absl::Time give_up = absl::Now() + absl::Seconds(15);
  while (ReasonOf(Put("d1", "{}")) != "OK" && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(ReasonOf(Put("d1", "{}")), "OK") << "its room is given back";
  for (const auto& context : contexts) context->TryCancel();
  for (size_t i = 1; i < 3; ++i) (void)streams[i]->Finish();
}

TEST_F(LargeCallsTest, IdleStreamsOfReflectionMakeRoomForTheNextAndTakeNoneOfOtherCalls) {
  max_bytes_under_way_ = 256u << 10;  // less than they hold
  StartServer();
  using grpc::reflection::v1alpha::ServerReflection;
  using grpc::reflection::v1alpha::ServerReflectionRequest;
  using grpc::reflection::v1alpha::ServerReflectionResponse;
  const auto stub = ServerReflection::NewStub(channel_);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<
      std::unique_ptr<grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>>>
      streams;
  const auto ask = [&](size_t i) {
    ServerReflectionRequest list;
    list.set_list_services("*");
    ServerReflectionResponse answer;
    return streams[i]->Write(list) && streams[i]->Read(&answer);
  };
  const size_t most = service::ReflectionMethod::kMaxStreams;
  for (size_t i = 0; i <= most; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub->ServerReflectionInfo(contexts.back().get()));
    ASSERT_TRUE(ask(i)) << i;
    ASSERT_TRUE(ask(0)) << "who asks goes on";
  }
  EXPECT_EQ(streams[1]->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(ask(2));
  grpc::ClientContext context;
  HealthCheckResponse health;
  EXPECT_EQ(ReasonOf(Health::NewStub(channel_)->Check(&context, {}, &health)), "OK");
  EXPECT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  for (size_t i = 0; i <= most; ++i) {
    contexts[i]->TryCancel();
    if (i != 1) (void)streams[i]->Finish();
  }
}

TEST_F(LargeCallsTest, LargeRequestsThatWaitForASilentVaultAreBounded) {
  StartServer();  // the hub's keys are cold
  owner_->Script(
      {{{"operation", "unwrapkey"}, {"kind", "hang"}, {"hang_ms", 600'000}, {"count", -1}}});
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  for (int i = 0; i < 7; ++i) {
    v1::Document& document = *batch.add_writes()->mutable_upsert();
    document.set_name(NameOf(absl::StrCat("d", i)));
    document.set_content(absl::StrCat("\"", std::string(1'000'000, 'x'), "\""));
  }
  std::atomic<int> refused = 0;
  std::vector<std::thread> writing;
  for (int i = 0; i < 10; ++i) {  // 70 MB, of which a tenant may hold 64 MiB
    writing.emplace_back([&] {
      v1::BatchWriteDocumentsResponse written;
      const grpc::Status status =
          documents_->BatchWriteDocuments(As("contributor").get(), batch, &written);
      refused += ReasonOf(status) == "QUOTA_EXCEEDED" ? 1 : 0;
    });
  }
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (refused == 0 && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_GE(refused, 1);
  EXPECT_EQ(ReasonOf(Put("small", "{}")), "VAULT_UNREACHABLE") << "small ones are heard";
  owner_->Script(nlohmann::json::array());
  for (std::thread& one : writing) one.join();
  EXPECT_LT(refused, 10);
}

}  // namespace
}  // namespace cmkstore
