#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/key_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "cmkstore/v1/search_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "service/dev_credentials.h"
#include "service/server.h"
#include "tests/e2e/vault_owner.h"
#include "tests/testing/kept_keys.h"
#include "tests/testing/offset_clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/use_dev_vault.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore {

inline constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";
inline constexpr char kHub[] = "tenants/11111111-2222-4333-8444-555555555555/hubs/h1";
inline constexpr char kProject[] =
    "tenants/11111111-2222-4333-8444-555555555555/hubs/h1/projects/p1";

inline std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status wire;
  wire.ParseFromString(status.error_details());
  for (const auto& detail : wire.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return status.ok() ? "OK" : "no ErrorInfo: " + status.error_message();
}

// A server in process on a dev vault over real HTTPS, with one hub and one project.
class ServedHub : public ::testing::Test {
 protected:
  ServedHub() {
    SetLogFile(dir_.path() + "/log.jsonl");
    StartVault({});
    owner_->Key("POST", "/keys/k1/create", {{"kty", "RSA"}, {"key_size", 2048}});
    StartServer();
  }
  ~ServedHub() override { SetLogFile("/dev/stderr"); }

  // In place of the vault that runs, with what that one has kept; no server runs then.
  void StartVault(dev_vault::DevVaultOptions options) {
    server_.reset();
    vault_.reset();
    options.state_dir = dir_.path() + "/vault";
    testing::PlaceVaultKeys(options.state_dir);
    auto started = dev_vault::DevVault::Start(options, clock_);
    EXPECT_TRUE(started.ok()) << started.status();
    vault_ = std::move(*started);
    owner_ = std::make_unique<VaultOwner>(vault_->endpoints());
  }

  // What a test wants otherwise; heard from the second StartServer on, the first being the
  // constructor's.
  virtual void Adjust(service::ServerOptions&) {}

  void StartServer() {
    server_.reset();
    service::ServerOptions options;
    options.data_dir = dir_.path() + "/data";
    options.shards.shards = 2;
    options.operator_tenant = kTenant;
    // The rules of the cache at a faster pace; the promise of 45 s is tested with a virtual clock.
    options.keys.probe_interval = absl::Milliseconds(600);
    options.keys.unhealthy_probe_interval = absl::Milliseconds(300);
    options.keys.confirm_delay = absl::Milliseconds(200);
    options.keys.negative_lifetime = absl::Milliseconds(200);
    options.keys.max_calls = 8;
    testing::PlaceServerKeys(options.data_dir);
    auto minted = service::MintDevCredentials(options.data_dir, kTenant, clock_);
    EXPECT_TRUE(minted.ok()) << minted.status();
    credentials_ = minted->directory;
    options.issuers = {minted->issuer};
    testing::UseDevVault(vault_->endpoints(), options);
    options.listeners.push_back({"127.0.0.1:0", grpc::InsecureServerCredentials()});
    Adjust(options);
    auto started = service::Server::Start(std::move(options), clock_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    channel_ = server_->InProcessChannel();
    const auto& channel = channel_;
    hubs_ = v1::HubService::NewStub(channel);
    projects_ = v1::ProjectService::NewStub(channel);
    documents_ = v1::DocumentService::NewStub(channel);
    keys_ = v1::KeyService::NewStub(channel);
    search_ = v1::SearchService::NewStub(channel);
  }

  std::unique_ptr<grpc::ClientContext> As(const std::string& role) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *ReadFile(credentials_ + "/" + role + ".token"));
    // By the clock that the server goes by.
    context->set_deadline(absl::ToChronoTime(clock_.WallNow() + absl::Seconds(20)));
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
  v1::KeyStatus Lock() {
    v1::LockHubRequest request;
    request.set_name(kHub);
    v1::KeyStatus status;
    EXPECT_EQ(ReasonOf(keys_->LockHub(As("key_admin").get(), request, &status)), "OK");
    return status;
  }
  v1::KeyStatus Unlock() {
    v1::UnlockHubRequest request;
    request.set_name(kHub);
    v1::KeyStatus status;
    EXPECT_EQ(ReasonOf(keys_->UnlockHub(As("key_admin").get(), request, &status)), "OK");
    return status;
  }
  void SetKeyEnabled(bool enabled) {
    owner_->Key("PATCH", "/keys/k1", {{"attributes", {{"enabled", enabled}}}});
  }
  v1::KeyStatus KeyStatus() {
    v1::GetKeyStatusRequest request;
    request.set_name(absl::StrCat(kHub, "/key"));
    v1::KeyStatus status;
    EXPECT_EQ(ReasonOf(keys_->GetKeyStatus(As("reader").get(), request, &status)), "OK");
    return status;
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
  testing::OffsetClock clock_;
  std::unique_ptr<dev_vault::DevVault> vault_;
  std::unique_ptr<VaultOwner> owner_;
  std::unique_ptr<service::Server> server_;
  std::string credentials_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::HubService::Stub> hubs_;
  std::unique_ptr<v1::ProjectService::Stub> projects_;
  std::unique_ptr<v1::DocumentService::Stub> documents_;
  std::unique_ptr<v1::KeyService::Stub> keys_;
  std::unique_ptr<v1::SearchService::Stub> search_;
};

}  // namespace cmkstore
