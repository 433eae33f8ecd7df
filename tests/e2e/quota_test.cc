// Quotas of tenants through a whole server.

#include <atomic>
#include <thread>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "tests/e2e/admin_page.h"
#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

constexpr char kOtherTenant[] = "99999999-2222-4333-8444-555555555555";

// A server on which two tenants have a hub each.
class QuotaTest : public BackupFixture {
 protected:
  QuotaTest() {
    StartServer();  // with Adjust
    SetUpHub();
    MakeHub("h2", kTenant);
    MakeHub("o1", kOtherTenant);
  }

  void Adjust(service::ServerOptions& options) override {
    options.admin_address = "127.0.0.1:0";
    BackupFixture::Adjust(options);
    options.quotas = quotas_;
    // One key signs for both; the files are this tenant's in the end.
    EXPECT_TRUE(service::MintDevCredentials(options.data_dir, kOtherTenant, clock_).ok());
    other_token_ = *ReadFile(options.data_dir + "/dev/owner.token");
    const auto minted = service::MintDevCredentials(options.data_dir, kTenant, clock_);
    EXPECT_TRUE(minted.ok());
    options.issuers = {minted->issuer};
    credentials_ = minted->directory;
  }
  void Limit(service::QuotaLimits of_each) {
    quotas_.of_each = of_each;
    server_->SetQuotas(quotas_);
  }

  std::unique_ptr<grpc::ClientContext> AsOwnerOf(const std::string& tenant) {
    if (tenant == kTenant) return As("owner");
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", "Bearer " + other_token_);
    return context;
  }
  static std::string NameOf(const std::string& hub, const std::string& id,
                            const std::string& tenant) {
    return absl::StrCat("tenants/", tenant, "/hubs/", hub, "/projects/p1/collections/c/documents/",
                        id);
  }
  void MakeHub(const std::string& id, const std::string& tenant) {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", tenant));
    request.set_hub_id(id);
    request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub hub;
    ASSERT_EQ(ReasonOf(hubs_->CreateHub(AsOwnerOf(tenant).get(), request, &hub)), "OK");
    v1::CreateProjectRequest begin;
    begin.set_parent(hub.name());
    begin.set_project_id("p1");
    v1::Project project;
    ASSERT_EQ(ReasonOf(projects_->CreateProject(AsOwnerOf(tenant).get(), begin, &project)), "OK");
  }
  grpc::Status PutIn(const std::string& hub, const std::string& id,
                     const std::string& content = "{}", const std::string& tenant = kTenant,
                     bool validate_only = false) {
    v1::UpdateDocumentRequest request;
    request.mutable_document()->set_name(NameOf(hub, id, tenant));
    request.mutable_document()->set_content(content);
    request.set_allow_missing(true);
    request.set_validate_only(validate_only);
    v1::Document document;
    return documents_->UpdateDocument(AsOwnerOf(tenant).get(), request, &document);
  }
  std::string DeleteFrom(const std::string& hub, const std::string& id) {
    v1::DeleteDocumentRequest request;
    request.set_name(NameOf(hub, id, kTenant));
    v1::DeleteDocumentResponse response;
    return ReasonOf(documents_->DeleteDocument(As("owner").get(), request, &response));
  }
  // One batch that puts and deletes.
  std::string Batch(const std::vector<std::string>& puts, const std::vector<std::string>& deletes) {
    v1::BatchWriteDocumentsRequest request;
    request.set_parent(kHub);
    for (const std::string& id : puts) {
      request.add_writes()->mutable_upsert()->set_name(NameOf("h1", id, kTenant));
      request.mutable_writes()->rbegin()->mutable_upsert()->set_content("{}");
    }
    for (const std::string& id : deletes) {
      request.add_writes()->set_delete_(NameOf("h1", id, kTenant));
    }
    v1::BatchWriteDocumentsResponse response;
    return ReasonOf(documents_->BatchWriteDocuments(As("owner").get(), request, &response));
  }
  bool Exists(const std::string& hub, const std::string& id) {
    v1::GetDocumentRequest request;
    request.set_name(NameOf(hub, id, kTenant));
    v1::Document document;
    return documents_->GetDocument(As("owner").get(), request, &document).ok();
  }
  // Until there is room for one more document, at most 20 s.
  void AwaitRoom() {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (!PutIn("h1", "one-more").ok() && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(ReasonOf(PutIn("h1", "one-more")), "OK");
  }
  static std::optional<google::rpc::QuotaFailure> QuotaOf(const grpc::Status& status) {
    google::rpc::Status wire;
    wire.ParseFromString(status.error_details());
    google::rpc::QuotaFailure failure;
    for (const auto& detail : wire.details()) {
      if (detail.UnpackTo(&failure)) return failure;
    }
    return std::nullopt;
  }
  static absl::Duration RetryOf(const grpc::Status& status) {
    google::rpc::Status wire;
    wire.ParseFromString(status.error_details());
    google::rpc::RetryInfo retry;
    for (const auto& detail : wire.details()) {
      if (detail.UnpackTo(&retry)) {
        return absl::Seconds(retry.retry_delay().seconds()) +
               absl::Nanoseconds(retry.retry_delay().nanos());
      }
    }
    return absl::ZeroDuration();
  }

  service::QuotaOptions quotas_;
  std::string other_token_;
};

TEST_F(QuotaTest, CallsBeyondTheRateAreToldWhenToComeAndOthersAreNotMoved) {
  ASSERT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  Limit({.requests_per_second = 1, .burst = 3});
  grpc::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) refused = PutIn("h1", "d1");
  ASSERT_EQ(ReasonOf(refused), "QUOTA_EXCEEDED") << refused.error_message();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto detail = QuotaOf(refused);
  ASSERT_TRUE(detail.has_value());
  ASSERT_EQ(detail->violations_size(), 1);
  EXPECT_EQ(detail->violations(0).subject(), absl::StrCat("tenants/", kTenant));
  EXPECT_EQ(detail->violations(0).quota_id(), "requests_per_second");
  EXPECT_THAT(detail->violations(0).description(), ::testing::HasSubstr("1 calls a second, and 3"));
  EXPECT_EQ(ReasonOf(PutIn("o1", "d1", "{}", kOtherTenant)), "OK");
  ASSERT_GT(RetryOf(refused), absl::ZeroDuration());
  ASSERT_LE(RetryOf(refused), absl::Seconds(1));
  clock_.Advance(RetryOf(refused));
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  // Whoever has no token of the tenant spends nothing of its calls.
  Limit({.requests_per_second = 1, .burst = 2});
  clock_.Advance(absl::Seconds(10));
  for (int i = 0; i < 20; ++i) {
    v1::GetHubRequest get;
    get.set_name(kHub);
    v1::Hub hub;
    grpc::ClientContext nobody;
    EXPECT_EQ(ReasonOf(hubs_->GetHub(&nobody, get, &hub)), "TOKEN_INVALID");
  }
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
}

TEST_F(QuotaTest, DocumentsOfAllHubsOfATenantCountTogetherAndABatchIsAllOrNothing) {
  Limit({.documents = 3});
  ASSERT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  ASSERT_EQ(ReasonOf(PutIn("h2", "d2")), "OK");
  EXPECT_EQ(Batch({"d3", "d4"}, {}), "QUOTA_EXCEEDED");
  EXPECT_FALSE(Exists("h1", "d3"));
  ASSERT_EQ(ReasonOf(PutIn("h1", "d3")), "OK");
  const grpc::Status refused = PutIn("h2", "d4");
  EXPECT_EQ(ReasonOf(refused), "QUOTA_EXCEEDED");
  ASSERT_TRUE(QuotaOf(refused).has_value());
  EXPECT_EQ(QuotaOf(refused)->violations(0).quota_id(), "documents");
  EXPECT_EQ(RetryOf(refused), absl::ZeroDuration()) << "waiting does not help";
  EXPECT_EQ(ReasonOf(PutIn("h2", "d4", "{}", kTenant, /*validate_only=*/true)), "QUOTA_EXCEEDED");

  EXPECT_EQ(ReasonOf(PutIn("h1", "d1", "{\"longer\": true}")), "OK") << "an update adds none";
  EXPECT_EQ(Batch({"d4"}, {"d3"}), "OK") << "nor does a batch that takes away as many";
  EXPECT_EQ(ReasonOf(PutIn("h1", "d5")), "QUOTA_EXCEEDED");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ReasonOf(PutIn("o1", absl::StrCat("d", i), "{}", kOtherTenant)),
              i < 3 ? "OK" : "QUOTA_EXCEEDED");
  }
  EXPECT_EQ(DeleteFrom("h1", "d1"), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "d5")), "OK");
}

TEST_F(QuotaTest, BytesAreThoseOfSealedRowsAndWhatDoesNotGrowPasses) {
  ASSERT_EQ(ReasonOf(PutIn("h1", "d1", "{\"a\": 1}")), "OK");
  Limit({.stored_bytes = 1});
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1", "{\"a\": 2}")), "OK") << "no longer than it was";
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1", "{}")), "OK");
  const grpc::Status refused = PutIn("h1", "d1", "{\"a\": 3}");
  EXPECT_EQ(ReasonOf(refused), "QUOTA_EXCEEDED");
  ASSERT_TRUE(QuotaOf(refused).has_value());
  EXPECT_EQ(QuotaOf(refused)->violations(0).quota_id(), "stored_bytes");
  EXPECT_EQ(DeleteFrom("h1", "d1"), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1")), "QUOTA_EXCEEDED");
  Limit({.stored_bytes = 100'000});
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "d2", absl::StrCat("\"", std::string(100'000, 'x'), "\""))),
            "QUOTA_EXCEEDED");
}

TEST_F(QuotaTest, ATenantsOwnLimitGoesBeforeThatOfEach) {
  quotas_.of_some[kOtherTenant] = {.documents = 2};
  Limit({.documents = 1});
  EXPECT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "d2")), "QUOTA_EXCEEDED");
  EXPECT_EQ(ReasonOf(PutIn("o1", "d1", "{}", kOtherTenant)), "OK");
  EXPECT_EQ(ReasonOf(PutIn("o1", "d2", "{}", kOtherTenant)), "OK");
  EXPECT_EQ(ReasonOf(PutIn("o1", "d3", "{}", kOtherTenant)), "QUOTA_EXCEEDED");
}

TEST_F(QuotaTest, ARepeatOfAnAcceptedWriteIsToldItsResultAlsoWhenTheRoomIsFull) {
  Limit({.documents = 1});
  v1::CreateDocumentRequest request;
  request.set_parent(absl::StrCat(kProject, "/collections/c"));
  request.set_document_id("d1");
  request.mutable_document()->set_content("{}");
  request.set_request_id("7b1d5c1e-8f0a-4e5e-9b8f-0123456789ab");
  v1::Document first, again;
  ASSERT_EQ(ReasonOf(documents_->CreateDocument(As("owner").get(), request, &first)), "OK");
  ASSERT_EQ(ReasonOf(documents_->CreateDocument(As("owner").get(), request, &again)), "OK");
  EXPECT_EQ(first.sequence(), again.sequence());
}

TEST_F(QuotaTest, ARestartKnowsWhatIsStored) {
  Limit({.documents = 2});
  ASSERT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  ASSERT_EQ(ReasonOf(PutIn("h2", "d2")), "OK");
  StartServer();
  EXPECT_EQ(ReasonOf(PutIn("h1", "d3")), "QUOTA_EXCEEDED");
  EXPECT_EQ(DeleteFrom("h2", "d2"), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "d3")), "OK");
}

TEST_F(QuotaTest, ADeletedProjectMakesRoom) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ReasonOf(PutIn("h2", absl::StrCat("d", i))), "OK");
  Limit({.documents = 3});
  EXPECT_EQ(ReasonOf(PutIn("h1", "one-more")), "QUOTA_EXCEEDED");
  v1::DeleteProjectRequest request;
  request.set_name(absl::StrCat("tenants/", kTenant, "/hubs/h2/projects/p1"));
  request.set_force(true);
  google::protobuf::Empty empty;
  ASSERT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), request, &empty)), "OK");
  AwaitRoom();
  EXPECT_EQ(Batch({"a", "b"}, {}), "OK") << "all of its room, and no more";
  EXPECT_EQ(ReasonOf(PutIn("h1", "c")), "QUOTA_EXCEEDED");
}

TEST_F(QuotaTest, ADeletedHubMakesRoomWhenItIsPurged) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ReasonOf(PutIn("h2", absl::StrCat("d", i))), "OK");
  Limit({.documents = 3});
  v1::DeleteHubRequest request;
  request.set_name(absl::StrCat("tenants/", kTenant, "/hubs/h2"));
  v1::Hub hub;
  ASSERT_EQ(ReasonOf(hubs_->DeleteHub(As("owner").get(), request, &hub)), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "one-more")), "QUOTA_EXCEEDED") << "it may still be undeleted";
  clock_.Advance(absl::Hours(7 * 24 + 1));
  StartServer();  // with tokens of then
  AwaitRoom();
  EXPECT_EQ(Batch({"a", "b"}, {}), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "c")), "QUOTA_EXCEEDED");
}

TEST_F(QuotaTest, WhatARunningServerRestoresIsCounted) {
  ASSERT_EQ(ReasonOf(PutIn("h1", "d1")), "OK");
  ASSERT_EQ(ReasonOf(PutIn("h2", "d2")), "OK");
  const std::string backup = TakeBackup().name();
  const std::string platform_key = *ReadFile(data_dir() + "/platform.key");
  quotas_.of_each = {.documents = 2};
  server_.reset();
  std::filesystem::create_directories(dir_.path() + "/other");
  ASSERT_TRUE(WriteFileDurably(dir_.path() + "/other/platform.key", platform_key));
  StartOn("other");
  const v1::RestoreResult restored = ResultOf<v1::RestoreResult>(StartRestore(backup));
  EXPECT_EQ(restored.hubs(), 3u);
  EXPECT_EQ(ReasonOf(PutIn("h1", "d3")), "QUOTA_EXCEEDED");
  EXPECT_EQ(DeleteFrom("h2", "d2"), "OK");
  EXPECT_EQ(ReasonOf(PutIn("h1", "d3")), "OK");
}

TEST_F(QuotaTest, TheOperatorFindsWhoseQuotaItWasInTheLogAndNotInMetrics) {
  Limit({.documents = 1});
  for (int i = 0; i < 5; ++i) (void)PutIn("h1", absl::StrCat("d", i));
  const std::string log = *ReadFile(dir_.path() + "/log.jsonl");
  const size_t at = log.find("quota_reached");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(log.find("quota_reached", at + 1), std::string::npos) << "once a minute is enough";
  EXPECT_NE(log.find(absl::StrCat("\"tenant\":\"", kTenant), at - 200), std::string::npos) << log;
}

TEST_F(QuotaTest, CallsThatHangOnOneTenantsVaultLeaveRoomForAnothersControlCalls) {
  owner_->Script({{{"operation", "get"}, {"kind", "hang"}, {"hang_ms", 600'000}, {"count", -1}}});
  v1::CheckKeyRequest check;
  check.set_parent(absl::StrCat("tenants/", kTenant));
  check.mutable_key()->set_vault_uri(vault_->endpoints().url);
  check.mutable_key()->set_key_name("k1");
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::thread> checking;
  std::atomic<int> ended = 0;
  const int threads = static_cast<int>(service::RpcServerOptions().control_threads);
  for (int i = 0; i < 2 * threads; ++i) {
    contexts.push_back(As("owner"));
    checking.emplace_back([&, context = contexts.back().get()] {
      v1::CheckKeyResponse checked;
      (void)keys_->CheckKey(context, check, &checked);
      ++ended;
    });
  }
  // All of them are under way: those that have a thread hang in the vault.
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  const std::string under_way = "cmkstore_rpc_in_flight{method=\"CheckKey\"}";
  while (AdminMetric(server_->admin_port(), under_way) + ended < 2 * threads &&
         absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  v1::ListHubsRequest list;
  list.set_parent(absl::StrCat("tenants/", kOtherTenant));
  v1::ListHubsResponse listed;
  EXPECT_EQ(ReasonOf(hubs_->ListHubs(AsOwnerOf(kOtherTenant).get(), list, &listed)), "OK");
  ASSERT_EQ(listed.hubs_size(), 1);
  v1::CreateProjectRequest create;  // which waits for a vault itself
  create.set_parent(listed.hubs(0).name());
  create.set_project_id("beside");
  v1::Project project;
  EXPECT_EQ(ReasonOf(projects_->CreateProject(AsOwnerOf(kOtherTenant).get(), create, &project)),
            "OK");
  EXPECT_LE(ended, threads) << "answered while there are as many as threads that hang";
  for (const auto& context : contexts) context->TryCancel();
  owner_->Script(nlohmann::json::array());
  for (std::thread& one : checking) one.join();
}

}  // namespace
}  // namespace cmkstore
