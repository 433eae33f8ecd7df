// Certificates, token issuers and log level change under a running server, as kubelet changes
// mounted files: by swapping a symbolic link.

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "service/config_reloader.h"
#include "service/server_setup.h"
#include "tests/e2e/served_hub.h"
#include "tests/testing/ended_certificate.h"

namespace cmkstore {
namespace {

class ReloadTest : public ::testing::Test {
 protected:
  ReloadTest() {
    SetLogFile(log_);
    for (const char* version : {"v1", "v2"}) {
      const std::string directory = dir_.path() + "/" + version;
      auto minted = service::MintDevCredentials(directory, kTenant, clock_);
      EXPECT_TRUE(minted.ok()) << minted.status();
      EXPECT_TRUE(WriteFileDurably(directory + "/dev/jwks.json", minted->issuer.jwks));
    }
    Point("v1");
    WriteConfig("info");
    const auto loaded = service::ReadConfig(config_, *ReadFile(config_));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    const std::string seen = service::ConfigReloader::Fingerprint(*loaded);
    auto options = service::MakeServerOptions(*loaded, clock_);
    EXPECT_TRUE(options.ok()) << options.status();
    EXPECT_EQ(options->certificates.size(), 2u) << "whose ends /metrics shows";
    auto started = service::Server::Start(*std::move(options), clock_);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    Watch(*loaded, seen);
  }
  ~ReloadTest() override {
    SetLogFile("/dev/stderr");
    SetLogLevel(LogLevel::kInfo);
  }

  void Watch(const service::LoadedConfig& started_with, const std::string& seen) {
    reloader_ = std::make_unique<service::ConfigReloader>(started_with, seen, *server_);
  }
  void Point(const std::string& version) {
    std::filesystem::create_directory_symlink(version, dir_.path() + "/next");
    std::filesystem::rename(dir_.path() + "/next", dir_.path() + "/now");
  }
  void WriteConfig(const std::string& level, const std::string& more = "") {
    const std::string now = dir_.path() + "/now/dev";
    EXPECT_TRUE(WriteFileDurably(
        config_,
        absl::StrCat("data_dir: ", dir_.path(), "/data\n",
                     "listeners: [{address: '127.0.0.1:0'}]\nadmin: {address: 'off'}\n",
                     "tls: {certificate_file: ", now, "/server.pem, key_file: ", now,
                     "/server.key, client_ca_file: ", now, "/ca.pem, reload_interval: 1s}\n",
                     "issuers: [{issuer: 'https://cmkstore.dev/issuer', jwks_file: ", now,
                     "/jwks.json}]\nlog: {level: ", level, "}\n", more)));
  }
  std::shared_ptr<grpc::Channel> Connect(const std::string& version) {
    const std::string from = dir_.path() + "/" + version + "/dev/";
    grpc::SslCredentialsOptions tls{*ReadFile(from + "ca.pem"), *ReadFile(from + "client.key"),
                                    *ReadFile(from + "client.pem")};
    grpc::ChannelArguments own_connection;
    own_connection.SetInt("cmkstore.test", ++channels_);
    return grpc::CreateCustomChannel(absl::StrCat("localhost:", server_->port()),
                                     grpc::SslCredentials(tls), own_connection);
  }
  std::unique_ptr<grpc::ClientContext> As(const std::string& version) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *ReadFile(dir_.path() + "/" + version + "/dev/owner.token"));
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return context;
  }
  grpc::Status List(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
    v1::ListHubsRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    v1::ListHubsResponse response;
    return v1::HubService::NewStub(channel)->ListHubs(As(token).get(), request, &response);
  }
  void AwaitRefused(bool refused) {
    const absl::Time give_up = absl::Now() + absl::Seconds(15);
    while (server_->config_pending().tls_refused != refused && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(server_->config_pending().tls_refused, refused);
  }
  void SetUpHub(const std::shared_ptr<grpc::Channel>& channel) {
    v1::CreateHubRequest hub;
    hub.set_parent(absl::StrCat("tenants/", kTenant));
    hub.set_hub_id("h1");
    hub.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub made;
    ASSERT_EQ(ReasonOf(v1::HubService::NewStub(channel)->CreateHub(As("v1").get(), hub, &made)),
              "OK");
    v1::CreateProjectRequest project;
    project.set_parent(kHub);
    project.set_project_id("p1");
    v1::Project begun;
    ASSERT_EQ(ReasonOf(v1::ProjectService::NewStub(channel)->CreateProject(As("v1").get(), project,
                                                                           &begun)),
              "OK");
  }
  grpc::Status Put(const std::shared_ptr<grpc::Channel>& channel, const std::string& token,
                   const std::string& id) {
    v1::UpdateDocumentRequest put;
    put.mutable_document()->set_name(absl::StrCat(kProject, "/collections/c/documents/", id));
    put.mutable_document()->set_content("{}");
    put.set_allow_missing(true);
    v1::Document stored;
    return v1::DocumentService::NewStub(channel)->UpdateDocument(As(token).get(), put, &stored);
  }

  testing::TempDir dir_;
  const std::string log_ = dir_.path() + "/log.jsonl";
  const std::string config_ = dir_.path() + "/config.yaml";
  SystemClock clock_;
  int channels_ = 0;
  std::unique_ptr<service::Server> server_;
  std::unique_ptr<service::ConfigReloader> reloader_;
};

TEST_F(ReloadTest, CertificatesAndIssuersAreSwappedUnderOpenConnections) {
  const auto old_caller = Connect("v1");
  ASSERT_EQ(ReasonOf(List(old_caller, "v1")), "OK");
  SetUpHub(old_caller);
  ASSERT_EQ(ReasonOf(Put(old_caller, "v1", "d1")), "OK");
  v1::WatchDocumentsRequest watch;
  watch.set_parent(kHub);
  const auto context = As("v1");
  const auto stream =
      v1::DocumentService::NewStub(old_caller)->WatchDocuments(context.get(), watch);
  v1::WatchDocumentsResponse event;
  ASSERT_TRUE(stream->Read(&event));

  Point("v2");
  EXPECT_TRUE(reloader_->Poll());
  // A new connection gets the new certificate and must bring one of the new CA.
  const absl::Time give_up = absl::Now() + absl::Seconds(15);
  grpc::Status status;
  while (!(status = List(Connect("v2"), "v2")).ok() && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_EQ(ReasonOf(status), "OK");
  EXPECT_EQ(List(Connect("v1"), "v2").error_code(), grpc::StatusCode::UNAVAILABLE);
  // The old connection goes on; the old issuer's tokens are worth nothing on it.
  EXPECT_EQ(ReasonOf(List(old_caller, "v1")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(List(old_caller, "v2")), "OK");
  // Nor is anything more told to whom they let in before.
  ASSERT_EQ(ReasonOf(Put(old_caller, "v2", "d2")), "OK");
  while (stream->Read(&event)) EXPECT_EQ(event.changes_size(), 0);
  EXPECT_EQ(ReasonOf(stream->Finish()), "TOKEN_INVALID");
}

// An issuer that is removed while the server starts must not stay trusted.
TEST_F(ReloadTest, WhatChangedBetweenTheReadingAndTheEndOfTheStartIsApplied) {
  const auto loaded = service::ReadConfig(config_, *ReadFile(config_));
  const std::string seen = service::ConfigReloader::Fingerprint(*loaded);
  const auto channel = Connect("v1");
  ASSERT_EQ(ReasonOf(List(channel, "v1")), "OK");
  Point("v2");
  Watch(*loaded, seen);
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_EQ(ReasonOf(List(channel, "v1")), "TOKEN_INVALID");
  EXPECT_FALSE(reloader_->Poll());
  WriteConfig("info", "quotas: {documents: 1}\n");
  Watch(*loaded, seen);
  EXPECT_TRUE(reloader_->Poll()) << "the file itself";
}

TEST_F(ReloadTest, QuotasFollowTheFileAndNoCallIsEnded) {
  const auto channel = Connect("v1");
  SetUpHub(channel);
  ASSERT_EQ(ReasonOf(Put(channel, "v1", "d1")), "OK");
  v1::WatchDocumentsRequest watch;
  watch.set_parent(kHub);
  const auto context = As("v1");
  const auto stream = v1::DocumentService::NewStub(channel)->WatchDocuments(context.get(), watch);
  v1::WatchDocumentsResponse event;
  ASSERT_TRUE(stream->Read(&event));

  WriteConfig("info", "quotas: {documents: 1}\n");
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_EQ(ReasonOf(Put(channel, "v1", "d2")), "QUOTA_EXCEEDED");
  WriteConfig("info", absl::StrCat("quotas: {documents: 1, tenants: [{tenant: ", kTenant,
                                   ", documents: 2}]}\n"));
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_EQ(ReasonOf(Put(channel, "v1", "d2")), "OK");
  EXPECT_EQ(ReasonOf(Put(channel, "v1", "d3")), "QUOTA_EXCEEDED");
  WriteConfig("info", "quotas: {tenants: [{documents: 1}]}\n");
  EXPECT_FALSE(reloader_->Poll()) << "it does not say whose";
  EXPECT_EQ(ReasonOf(Put(channel, "v1", "d3")), "QUOTA_EXCEEDED") << "what was in force stays";
  WriteConfig("info");
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_EQ(ReasonOf(Put(channel, "v1", "d3")), "OK");
  EXPECT_EQ(ReadFile(log_)->find("config_needs_restart"), std::string::npos);
  EXPECT_TRUE(stream->Read(&event)) << ReasonOf(stream->Finish());
  context->TryCancel();
}

TEST_F(ReloadTest, TheLogLevelFollowsTheFileAndRestartsAreAskedFor) {
  EXPECT_FALSE(reloader_->Poll()) << "nothing has changed";
  WriteConfig("error");
  EXPECT_TRUE(reloader_->Poll());
  Log(LogLevel::kWarning, "not_to_be_seen");
  WriteConfig("info", R"(requests: {queues: 2}
keys: {probe_interval: 29s500ms}
identities: [{client_id: "canary-client"}, {name: "second"}]
vaults: {allowed_suffixes: [.vault.azure.net]}
)");
  EXPECT_TRUE(reloader_->Poll());
  const std::string log = *ReadFile(log_);
  EXPECT_EQ(log.find("not_to_be_seen"), std::string::npos);
  EXPECT_NE(log.find("config_needs_restart"), std::string::npos);
  EXPECT_THAT(log, ::testing::HasSubstr(
                       R"("changes":"identities[0].client_id, identities[1], keys.probe_interval, )"
                       R"(requests.queues, vaults.allowed_suffixes[1], )"));
  EXPECT_EQ(log.find("canary-client"), std::string::npos);
  // For as long as the file says so, whatever else is changed there.
  EXPECT_TRUE(server_->config_pending().needs_restart);
  WriteConfig("error", "requests: {queues: 2}\n");
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_TRUE(server_->config_pending().needs_restart);
  WriteConfig("error");
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_FALSE(server_->config_pending().needs_restart);
}

TEST_F(ReloadTest, TlsFilesThatCannotBeUsedChangeNothingAndStartNothing) {
  const std::string live = dir_.path() + "/v1/dev/", other = dir_.path() + "/v2/dev/";
  for (const char* file : {"server.key", "server.pem", "ca.pem"}) {
    const std::string good = *ReadFile(live + file);
    const bool pair = file == std::string("server.key");
    ASSERT_TRUE(WriteFileDurably(live + file, pair ? *ReadFile(other + file) : "no PEM"));
    AwaitRefused(true);
    absl::SleepFor(absl::Seconds(2));  // gRPC would have taken it by now
    const auto loaded = service::ReadConfig(config_, *ReadFile(config_));
    EXPECT_FALSE(service::MakeServerOptions(*loaded, clock_).ok()) << file;
    ASSERT_TRUE(WriteFileDurably(live + file, good));
    EXPECT_EQ(ReasonOf(List(Connect("v1"), "v1")), "OK") << file;
    AwaitRefused(false);
  }
  EXPECT_NE(ReadFile(log_)->find("the key is not that of the certificate"), std::string::npos);
}

TEST_F(ReloadTest, ACertificateThatHasEndedIsNotTakenForOneThatServes) {
  const std::string live = dir_.path() + "/v1/dev/";
  const std::string certificate = *ReadFile(live + "server.pem"),
                    key = *ReadFile(live + "server.key");
  ASSERT_TRUE(WriteFileDurably(live + "server.key", testing::kKeyOfEndedCertificate));
  ASSERT_TRUE(WriteFileDurably(live + "server.pem", testing::kEndedCertificate));
  AwaitRefused(true);
  absl::SleepFor(absl::Seconds(2));  // gRPC would have taken it by now
  EXPECT_EQ(ReasonOf(List(Connect("v1"), "v1")), "OK");
  const absl::Time give_up = absl::Now() + absl::Seconds(15);
  const auto said = [&] { return absl::StrContains(*ReadFile(log_), "ended at 2025-02-01"); };
  while (!said() && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_TRUE(said());
  // A start has no better one.
  const auto loaded = service::ReadConfig(config_, *ReadFile(config_));
  EXPECT_TRUE(service::MakeServerOptions(*loaded, clock_).ok());
  EXPECT_NE(ReadFile(log_)->find("tls_certificate_not_current"), std::string::npos);
  ASSERT_TRUE(WriteFileDurably(live + "server.pem", certificate));
  ASSERT_TRUE(WriteFileDurably(live + "server.key", key));
  AwaitRefused(false);
  EXPECT_EQ(ReasonOf(List(Connect("v1"), "v1")), "OK");
}

TEST_F(ReloadTest, AWrongFileChangesNothing) {
  WriteConfig("loud");
  EXPECT_FALSE(reloader_->Poll());
  EXPECT_NE(ReadFile(log_)->find("config_not_reloaded"), std::string::npos);
  EXPECT_EQ(ReasonOf(List(Connect("v1"), "v1")), "OK");
  EXPECT_TRUE(server_->config_pending().refused);
  std::filesystem::remove(dir_.path() + "/now");
  EXPECT_FALSE(reloader_->Poll());
  EXPECT_EQ(ReasonOf(List(Connect("v1"), "v1")), "OK");
  Point("v1");
  WriteConfig("info");
  EXPECT_TRUE(reloader_->Poll());
  EXPECT_FALSE(server_->config_pending().refused);
}

}  // namespace
}  // namespace cmkstore
