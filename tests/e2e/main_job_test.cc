// The main job on real parts: a dev vault over HTTPS, the server in process, RocksDB on disk.

#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/key_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "service/dev_credentials.h"
#include "service/server.h"
#include "tests/e2e/vault_owner.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore {
namespace {

constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";
constexpr char kHub[] = "tenants/11111111-2222-4333-8444-555555555555/hubs/h1";
constexpr char kProject[] = "tenants/11111111-2222-4333-8444-555555555555/hubs/h1/projects/p1";

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status wire;
  wire.ParseFromString(status.error_details());
  for (const auto& detail : wire.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return status.ok() ? "OK" : "no ErrorInfo: " + status.error_message();
}

class MainJobTest : public ::testing::Test {
 protected:
  MainJobTest() {
    SetLogFile(dir_.path() + "/log.jsonl");
    dev_vault::DevVaultOptions vault;
    vault.state_dir = dir_.path() + "/vault";
    auto started = dev_vault::DevVault::Start(vault, clock_);
    EXPECT_TRUE(started.ok()) << started.status();
    vault_ = std::move(*started);
    owner_ = std::make_unique<VaultOwner>(vault_->endpoints());
    owner_->Key("POST", "/keys/k1/create", {{"kty", "RSA"}, {"key_size", 2048}});
    StartServer();
  }
  ~MainJobTest() override { SetLogFile("/dev/stderr"); }

  void StartServer() {
    server_.reset();
    service::ServerOptions options;
    options.data_dir = dir_.path() + "/data";
    options.shards.shards = 2;
    // The rules of the cache at a faster pace; the promise of 45 s is tested with a virtual clock.
    options.keys.probe_interval = absl::Milliseconds(600);
    options.keys.unhealthy_probe_interval = absl::Milliseconds(300);
    options.keys.confirm_delay = absl::Milliseconds(200);
    options.keys.negative_lifetime = absl::Milliseconds(200);
    options.keys.max_calls = 8;
    auto minted = service::MintDevCredentials(options.data_dir, kTenant, clock_);
    EXPECT_TRUE(minted.ok()) << minted.status();
    credentials_ = minted->directory;
    options.issuers = {minted->issuer};
    const dev_vault::DevVaultEndpoints& vault = vault_->endpoints();
    options.vault_ca_file = vault.ca_file;
    options.vault_addresses.allowed_hosts = {vault.url.substr(8)};
    vault::IdentityOptions identity;
    identity.kind = vault::IdentityOptions::Kind::kClientSecret;
    identity.authority = vault.authority;
    identity.tenant_id = vault.tenant_id;
    identity.client_id = vault.client_id;
    identity.secret_file = vault.secret_file;
    options.identities.emplace_back("", identity);
    options.listeners.push_back({"127.0.0.1:0", grpc::InsecureServerCredentials()});
    auto started = service::Server::Start(std::move(options), clock_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    auto channel = server_->InProcessChannel();
    hubs_ = v1::HubService::NewStub(channel);
    projects_ = v1::ProjectService::NewStub(channel);
    documents_ = v1::DocumentService::NewStub(channel);
    keys_ = v1::KeyService::NewStub(channel);
  }

  std::unique_ptr<grpc::ClientContext> As(const std::string& role) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *ReadFile(credentials_ + "/" + role + ".token"));
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return context;
  }

  grpc::Status CreateHub(v1::Hub* created = nullptr, const std::string& key = "k1") {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.set_hub_id("h1");
    request.mutable_hub()->set_display_name("canary-display-name");
    auto& managed = *request.mutable_hub()->mutable_encryption()->mutable_customer_managed();
    managed.set_vault_uri(vault_->endpoints().url);
    managed.set_key_name(key);
    v1::Hub hub;
    const grpc::Status status = hubs_->CreateHub(As("owner").get(), request, &hub);
    if (created != nullptr) *created = hub;
    return status;
  }
  grpc::Status CreateProject() {
    v1::CreateProjectRequest request;
    request.set_parent(kHub);
    request.set_project_id("p1");
    request.mutable_project()->set_display_name("canary-project-name");
    v1::Project project;
    return projects_->CreateProject(As("owner").get(), request, &project);
  }
  static std::string NameOf(const std::string& id) {
    return absl::StrCat(kProject, "/collections/canary-flows/documents/", id);
  }
  grpc::Status Put(const std::string& id, const std::string& content,
                   v1::Document* stored = nullptr, const std::string& etag = "") {
    v1::UpdateDocumentRequest request;
    request.mutable_document()->set_name(NameOf(id));
    request.mutable_document()->set_content(content);
    request.mutable_document()->set_etag(etag);
    (*request.mutable_document()->mutable_labels())["canary-label"] = "canary-label-value";
    request.set_allow_missing(true);
    v1::Document document;
    const grpc::Status status =
        documents_->UpdateDocument(As("contributor").get(), request, &document);
    if (stored != nullptr) *stored = document;
    return status;
  }
  grpc::Status Get(const std::string& id, v1::Document* document = nullptr,
                   const std::string& role = "reader") {
    v1::GetDocumentRequest request;
    request.set_name(NameOf(id));
    v1::Document found;
    const grpc::Status status = documents_->GetDocument(As(role).get(), request, &found);
    if (document != nullptr) *document = found;
    return status;
  }
  void SetUpHub() {
    const grpc::Status hub = CreateHub();
    ASSERT_TRUE(hub.ok()) << ReasonOf(hub) << hub.error_message();
    const grpc::Status project = CreateProject();
    ASSERT_TRUE(project.ok()) << ReasonOf(project) << project.error_message();
  }
  void SetKeyEnabled(bool enabled) {
    owner_->Key("PATCH", "/keys/k1", {{"attributes", {{"enabled", enabled}}}});
  }
  // Until a get answers with `reason`, at most 10 s.
  void AwaitReason(const std::string& reason) {
    const absl::Time give_up = absl::Now() + absl::Seconds(10);
    while (ReasonOf(Get("d1")) != reason && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(ReasonOf(Get("d1")), reason);
  }

  testing::TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<dev_vault::DevVault> vault_;
  std::unique_ptr<VaultOwner> owner_;
  std::unique_ptr<service::Server> server_;
  std::string credentials_;
  std::unique_ptr<v1::HubService::Stub> hubs_;
  std::unique_ptr<v1::ProjectService::Stub> projects_;
  std::unique_ptr<v1::DocumentService::Stub> documents_;
  std::unique_ptr<v1::KeyService::Stub> keys_;
};

TEST_F(MainJobTest, ADocumentIsStoredReadListedAndDeleted) {
  SetUpHub();
  v1::Document stored, found;
  ASSERT_EQ(ReasonOf(Put("d1", R"({"metric": 0.93})", &stored)), "OK");
  EXPECT_EQ(stored.revision(), 1u);
  ASSERT_EQ(ReasonOf(Get("d1", &found)), "OK");
  EXPECT_EQ(found.content(), R"({"metric": 0.93})");
  EXPECT_EQ(found.labels().at("canary-label"), "canary-label-value");
  EXPECT_EQ(found.etag(), stored.etag());

  v1::ListDocumentsRequest list;
  list.set_parent(absl::StrCat(kProject, "/collections/-"));
  v1::ListDocumentsResponse page;
  ASSERT_TRUE(documents_->ListDocuments(As("reader").get(), list, &page).ok());
  ASSERT_EQ(page.documents_size(), 1);
  EXPECT_EQ(page.documents(0).name(), NameOf("d1"));

  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d1"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  EXPECT_EQ(ReasonOf(Get("d1")), "DOCUMENT_NOT_FOUND");
}

TEST_F(MainJobTest, TheWithdrawnKeyDarkensTheHubAndTheReturnedKeyLosesNothing) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", R"({"kept": true})")), "OK");
  SetKeyEnabled(false);
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(ReasonOf(Put("d2", "{}")), "CUSTOMER_KEY_REVOKED");
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
  EXPECT_EQ(hub.state(), v1::Hub::LOCKED);
  EXPECT_EQ(hub.display_name(), "");
  v1::GetKeyStatusRequest ask;
  ask.set_name(absl::StrCat(kHub, "/key"));
  v1::KeyStatus status;
  ASSERT_TRUE(keys_->GetKeyStatus(As("reader").get(), ask, &status).ok());
  EXPECT_EQ(status.availability(), v1::KeyStatus::DENIED);
  EXPECT_GE(status.last_receipt().keys_wiped(), 1u);

  SetKeyEnabled(true);
  AwaitReason("OK");
  v1::Document found;
  ASSERT_EQ(ReasonOf(Get("d1", &found)), "OK");
  EXPECT_EQ(found.content(), R"({"kept": true})");
}

TEST_F(MainJobTest, APushLockHoldsAtOnceAndAcrossARestart) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  v1::LockHubRequest lock;
  lock.set_name(kHub);
  v1::KeyStatus status;
  ASSERT_TRUE(keys_->LockHub(As("key_admin").get(), lock, &status).ok());
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  v1::UnlockHubRequest unlock;
  unlock.set_name(kHub);
  ASSERT_TRUE(keys_->UnlockHub(As("key_admin").get(), unlock, &status).ok());
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
}

TEST_F(MainJobTest, AcknowledgedDocumentsAreThereAfterARestartWithoutAVaultCallEach) {
  SetUpHub();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), "{}")), "OK");
  StartServer();
  const int before = owner_->UnwrapCalls();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ReasonOf(Get(absl::StrCat("d", i))), "OK");
  EXPECT_LE(owner_->UnwrapCalls() - before, 3);
}

TEST_F(MainJobTest, AStaleEtagIsRefusedAndAMatchingOneIsNot) {
  SetUpHub();
  v1::Document first, second;
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &first)), "OK");
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &second, first.etag())), "OK");
  EXPECT_EQ(second.revision(), 2u);
  EXPECT_EQ(ReasonOf(Put("d1", "{}", nullptr, first.etag())), "ETAG_MISMATCH");
}

TEST_F(MainJobTest, ABatchIsAllOrNothingAndARequestIdGivesTheFirstAnswer) {
  SetUpHub();
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  batch.add_writes()->mutable_create()->set_name(NameOf("a"));
  batch.add_writes()->set_delete_(NameOf("missing"));
  v1::BatchWriteDocumentsResponse response;
  EXPECT_EQ(ReasonOf(documents_->BatchWriteDocuments(As("contributor").get(), batch, &response)),
            "DOCUMENT_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Get("a")), "DOCUMENT_NOT_FOUND");

  batch.mutable_writes()->RemoveLast();
  batch.set_request_id("6b9c7a58-0a63-4d4f-9b13-6f1f5d3f2a10");
  ASSERT_TRUE(documents_->BatchWriteDocuments(As("contributor").get(), batch, &response).ok());
  const std::string etag = response.documents(0).etag();
  ASSERT_TRUE(documents_->BatchWriteDocuments(As("contributor").get(), batch, &response).ok());
  EXPECT_EQ(response.documents(0).etag(), etag) << "the repeat must not write again";
}

TEST_F(MainJobTest, AWatchSeesPutsAndDeletesInOrderAndEndsWhenTheHubLocks) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  v1::WatchDocumentsRequest request;
  request.set_parent(kHub);
  auto context = As("reader");
  auto stream = documents_->WatchDocuments(context.get(), request);
  std::vector<std::string> seen;
  v1::WatchDocumentsResponse part;
  ASSERT_TRUE(stream->Read(&part));
  for (const auto& change : part.changes()) seen.push_back(change.document().name());
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d1"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  ASSERT_TRUE(stream->Read(&part));
  ASSERT_EQ(part.changes_size(), 1);
  EXPECT_EQ(part.changes(0).kind(), v1::DocumentChange::DELETED);
  EXPECT_EQ(part.changes(0).document().name(), NameOf("d1"));
  ASSERT_EQ(seen, std::vector<std::string>{NameOf("d1")});
  v1::LockHubRequest lock;
  lock.set_name(kHub);
  v1::KeyStatus status;
  ASSERT_TRUE(keys_->LockHub(As("key_admin").get(), lock, &status).ok());
  while (stream->Read(&part)) {
  }
  EXPECT_EQ(ReasonOf(stream->Finish()), "HUB_LOCKED");
}

TEST_F(MainJobTest, AuthenticationComesBeforeAuthorizationAndThatBeforeTheNamesForm) {
  SetUpHub();
  v1::GetDocumentRequest request;
  request.set_name("nonsense");
  v1::Document document;
  grpc::ClientContext nobody;
  EXPECT_EQ(ReasonOf(documents_->GetDocument(&nobody, request, &document)), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(documents_->GetDocument(As("reader").get(), request, &document)),
            "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(Get("d1", nullptr, "key_admin")), "ACCESS_DENIED");
  request.set_name("tenants/other/hubs/h1/projects/p1/collections/c/documents/d");
  EXPECT_EQ(ReasonOf(documents_->GetDocument(As("owner").get(), request, &document)),
            "ACCESS_DENIED");
}

TEST_F(MainJobTest, AnUnfitKeyIsRefusedAtCreationWithEveryFailedCheck) {
  owner_->Key("POST", "/keys/k2/create", {{"kty", "RSA"}, {"key_ops", {"sign"}}});
  const grpc::Status status = CreateHub(nullptr, "k2");
  EXPECT_EQ(ReasonOf(status), "CUSTOMER_KEY_UNFIT");
  EXPECT_NE(status.error_message().find("key_ops"), std::string::npos) << status.error_message();
  EXPECT_NE(status.error_message().find("wrap"), std::string::npos);
}

TEST_F(MainJobTest, LimitsAreNamedInTheRefusal) {
  SetUpHub();
  const auto refuse = [&](const std::string& id, const std::string& content,
                          const std::string& fragment) {
    const grpc::Status status = Put(id, content);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << fragment;
    EXPECT_NE(status.error_message().find(fragment), std::string::npos) << status.error_message();
  };
  refuse("d1", "not json", "well-formed JSON");
  refuse("d1", "\"" + std::string((1 << 20), 'x') + "\"", "1048576");
  refuse(std::string(129, 'x'), "{}", "128 characters");
  refuse("-d", "{}", "begin with a letter");
}

// Everything a caller supplies but hub and project ids is nowhere on disk, nor in the log.
TEST_F(MainJobTest, NoPlaintextAtRest) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("canary-document-id", R"({"canary-content": "canary-content"})")), "OK");
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("canary-document-id"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  ASSERT_EQ(ReasonOf(Put("canary-document-id", R"({"canary-content": "canary-content"})")), "OK");
  server_.reset();
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_EQ(ReadFile(entry.path().string())->find("canary"), std::string::npos) << entry.path();
  }
  EXPECT_GT(files, 10);
}

}  // namespace
}  // namespace cmkstore
