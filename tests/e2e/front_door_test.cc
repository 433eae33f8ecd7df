// The listeners: mutual TLS on a real port, a server that runs out of descriptors, and a stop under
// load.

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/security/credentials.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

class FrontDoorTest : public ServedHub {
 protected:
  std::shared_ptr<grpc::Channel> TlsChannel(int port, bool with_certificate) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = *ReadFile(credentials_ + "/ca.pem");
    if (with_certificate) {
      options.pem_private_key = *ReadFile(credentials_ + "/client.key");
      options.pem_cert_chain = *ReadFile(credentials_ + "/client.pem");
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("localhost:", port),
                                     grpc::SslCredentials(options), arguments);
  }
  std::shared_ptr<grpc::Channel> PlainChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }
  grpc::Status GetThrough(const std::shared_ptr<grpc::Channel>& channel) {
    v1::GetDocumentRequest request;
    request.set_name(NameOf("d1"));
    v1::Document found;
    return v1::DocumentService::NewStub(channel)->GetDocument(As("reader").get(), request, &found);
  }
};

TEST_F(FrontDoorTest, ATlsListenerServesOnlyWhoShowsACertificateOfItsAuthority) {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = *ReadFile(credentials_ + "/ca.pem");
  tls.pem_key_cert_pairs.push_back(
      {*ReadFile(credentials_ + "/server.key"), *ReadFile(credentials_ + "/server.pem")});
  testing::OffsetClock clock;
  service::ServerOptions options;
  options.data_dir = dir_.path() + "/other";
  options.shards.shards = 1;
  service::IssuerOptions issuer;
  issuer.issuer = "https://nobody.example";
  issuer.jwks_url = "https://127.0.0.1:1/keys";
  options.issuers = {issuer};
  options.listeners.push_back({"localhost:0", grpc::SslServerCredentials(tls)});
  auto served = service::Server::Start(std::move(options), clock);
  ASSERT_TRUE(served.ok()) << served.status();
  const int port = (*served)->port();
  // Let in by TLS, refused by the gate: this server knows another issuer.
  EXPECT_EQ(ReasonOf(GetThrough(TlsChannel(port, true))), "TOKEN_INVALID");
  const grpc::Status nameless = GetThrough(TlsChannel(port, false));
  EXPECT_EQ(nameless.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(nameless.error_details().empty()) << "no stream was begun";
}

// What an operation runs in must not go away under it.
TEST_F(FrontDoorTest, AStartThatFailsLateStopsWhatItHasResumed) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const std::string backups = dir_.path() + "/backups";
  std::filesystem::create_directories(backups);
  const auto start = [&](const std::string& at) {
    service::ServerOptions options;
    options.data_dir = dir_.path() + "/other";
    options.shards.shards = 1;
    options.operator_tenant = kTenant;
    options.backup.directory = backups;
    options.backup.bytes_per_second = 1;  // a backup does not end in a test's time
    options.issuers = {service::MintDevCredentials(options.data_dir, kTenant, clock_)->issuer};
    options.listeners.push_back({at, grpc::InsecureServerCredentials()});
    return service::Server::Start(std::move(options), clock_);
  };
  auto served = start("127.0.0.1:0");
  ASSERT_TRUE(served.ok()) << served.status();
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization",
                       "Bearer " + *ReadFile(dir_.path() + "/other/dev/operator.token"));
  google::longrunning::Operation backup;
  ASSERT_EQ(ReasonOf(v1::AdminService::NewStub((*served)->InProcessChannel())
                         ->Backup(context.get(), {}, &backup)),
            "OK");
  served->reset();
  for (int i = 0; i < 3; ++i) {
    const auto failed = start(absl::StrCat("127.0.0.1:", ntohs(address.sin_port)));
    EXPECT_EQ(ReasonOf(failed.status()), "INVARIANT") << failed.status();
  }
  close(taken);
  EXPECT_TRUE(start("127.0.0.1:0").ok());
}

TEST_F(FrontDoorTest, TheServerServesAgainAfterItsDescriptorsWereExhausted) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  ASSERT_EQ(ReasonOf(GetThrough(PlainChannel())), "OK");
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  std::vector<int> others;
  for (int i = 0; i < 8; ++i) others.push_back(socket(AF_INET, SOCK_STREAM, 0));
  const int log = open((dir_.path() + "/log.jsonl").c_str(), O_RDONLY);
  const auto meanwhile = As("reader");  // reads a file, so before
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 400;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> taken;
  for (int one = open("/dev/null", O_RDONLY); one >= 0; one = open("/dev/null", O_RDONLY)) {
    taken.push_back(one);
  }
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(server_->port()));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  v1::GetDocumentRequest request;
  request.set_name(NameOf("d1"));
  v1::Document found;
  EXPECT_EQ(ReasonOf(documents_->GetDocument(meanwhile.get(), request, &found)), "OK")
      << "who is connected is served meanwhile";
  // The server may still give back a descriptor or two, which the acceptor then gets.
  std::string said;
  for (int i = 0; i < 200 && said.find("accept_failed") == std::string::npos; ++i) {
    for (int one = open("/dev/null", O_RDONLY); one >= 0; one = open("/dev/null", O_RDONLY)) {
      taken.push_back(one);
    }
    if (i % 20 == 0 && !others.empty()) {
      EXPECT_EQ(connect(others.back(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
      taken.push_back(others.back());
      others.pop_back();
    }
    absl::SleepFor(absl::Milliseconds(50));
    said.resize(1 << 20);
    said.resize(static_cast<size_t>(std::max<ssize_t>(pread(log, said.data(), said.size(), 0), 0)));
  }
  close(log);
  for (const int one : others) close(one);
  for (const int one : taken) close(one);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_NE(said.find("accept_failed"), std::string::npos);
  EXPECT_EQ(ReasonOf(GetThrough(PlainChannel())), "OK");
  close(client);
}

TEST_F(FrontDoorTest, ATokenThatIsTooLongCostsOnlyItsOwnCall) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const auto stub = v1::DocumentService::NewStub(PlainChannel());
  v1::WatchDocumentsRequest watch;
  watch.set_parent(kHub);
  const auto watching = As("reader");
  const auto stream = stub->WatchDocuments(watching.get(), watch);
  v1::WatchDocumentsResponse part;
  ASSERT_TRUE(stream->Read(&part));
  v1::GetDocumentRequest request;
  request.set_name(NameOf("d1"));
  v1::Document found;
  for (const size_t size : {8'100, 8'193, 12'000}) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + std::string(size, 'x'));
    EXPECT_EQ(ReasonOf(stub->GetDocument(&context, request, &found)), "TOKEN_INVALID") << size;
  }
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  EXPECT_TRUE(stream->Read(&part)) << "another call of the connection goes on";
  watching->TryCancel();
  (void)stream->Finish();
}

TEST_F(FrontDoorTest, ACallWithTwoTokensIsRefused) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  v1::GetDocumentRequest request;
  request.set_name(NameOf("d1"));
  v1::Document found;
  const auto context = As("reader");
  context->AddMetadata("authorization", "Bearer " + *ReadFile(credentials_ + "/owner.token"));
  const grpc::Status refused = documents_->GetDocument(context.get(), request, &found);
  EXPECT_EQ(ReasonOf(refused), "TOKEN_INVALID");
  EXPECT_NE(refused.error_message().find("must be there once"), std::string::npos);
}

TEST_F(FrontDoorTest, AStopUnderLoadAnswersEveryCallAndEnds) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  std::atomic<bool> stopped{false};
  std::atomic<int> served{0}, strange{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([&, i] {
      auto channel = PlainChannel();
      auto unknown = v1::HubService::NewStub(channel);
      while (!stopped) {
        const grpc::Status status = GetThrough(channel);
        if (status.ok()) {
          ++served;
        } else if (status.error_code() != grpc::StatusCode::UNAVAILABLE &&
                   status.error_code() != grpc::StatusCode::CANCELLED) {
          ++strange;
        }
        if (i % 4 != 0 || stopped) continue;
        v1::ListHubsRequest list;
        list.set_parent(absl::StrCat("tenants/", kTenant));
        v1::ListHubsResponse page;
        (void)unknown->ListHubs(As("reader").get(), list, &page);
      }
    });
  }
  while (served < 200) absl::SleepFor(absl::Milliseconds(1));
  server_->Shutdown(absl::Seconds(5));
  stopped = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(strange, 0);
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
}

TEST_F(FrontDoorTest, BytesThatAreNoMessageAreRefusedAfterTheToken) {
  for (const char* name : {"DocumentService/GetDocument", "DocumentService/WatchDocuments",
                           "HubService/CreateHub", "UsageService/QueryUsage"}) {
    const std::string path = absl::StrCat("/cmkstore.v1.", name);
    const auto call = [&](std::unique_ptr<grpc::ClientContext> context) {
      const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
      const grpc::Slice slice("\x0a\x7f truncated");
      const grpc::ByteBuffer request(&slice, 1);
      grpc::ByteBuffer response;
      return grpc::internal::BlockingUnaryCall(channel_.get(), method, context.get(), request,
                                               &response);
    };
    const grpc::Status known = call(As("owner"));
    EXPECT_EQ(ReasonOf(known), "FIELD_INVALID") << name << known.error_message();
    EXPECT_EQ(known.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
    EXPECT_THAT(known.error_message(), ::testing::HasSubstr("does not parse")) << name;
    EXPECT_EQ(ReasonOf(call(std::make_unique<grpc::ClientContext>())), "TOKEN_INVALID") << name;
  }
}

}  // namespace
}  // namespace cmkstore
