#pragma once

#include <rocksdb/env.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/errors.h"
#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "crypto/sealed_document.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "store/key_layout.h"
#include "store/rocksdb/shard_set.h"
#include "store/tables.h"
#include "tests/e2e/served_hub.h"
#include "tests/store/apply_and_wait.h"
#include "tests/store/faulty_file_system.h"

namespace cmkstore {

// A served hub whose disk, vault, store and clock can be made to fail.
class FailingHub : public ServedHub {
 protected:
  using Fault = store::FaultyFileSystem::Fault;

  FailingHub()
      : disk_(std::make_shared<store::FaultyFileSystem>()), env_(rocksdb::NewCompositeEnv(disk_)) {}
  ~FailingHub() override { server_.reset(); }  // before what it stands on

  void Adjust(service::ServerOptions& options) override {
    options.shards.env = env_.get();
    options.indexes.max_open = 1;
    options.keys.max_waiters_per_key = max_waiters_;
    options.backup.directory = backups();
  }

  std::string backups() const { return dir_.path() + "/backups"; }
  grpc::Status GetBackup(const std::string& name) {
    v1::GetBackupRequest request;
    request.set_name(name);
    v1::Backup backup;
    return v1::AdminService::NewStub(channel_)->GetBackup(As("operator").get(), request, &backup);
  }
  grpc::Status GetADamagedBackup() {
    std::filesystem::create_directories(backups() + "/backups");
    EXPECT_TRUE(WriteFileDurably(backups() + "/backups/damaged.json", "{"));
    return GetBackup("backups/damaged");
  }
  grpc::Status BackUpWithoutADirectory() {
    std::filesystem::rename(backups(), backups() + ".unmounted");
    google::longrunning::Operation operation;
    const grpc::Status refused =
        v1::AdminService::NewStub(channel_)->Backup(As("operator").get(), {}, &operation);
    std::filesystem::rename(backups() + ".unmounted", backups());
    return refused;
  }
  std::unique_ptr<google::longrunning::Operations::Stub> operations() {
    return google::longrunning::Operations::NewStub(channel_);
  }
  static std::string HubNamed(const std::string& id) {
    return absl::StrCat("tenants/", kTenant, "/hubs/", id);
  }
  // A hub under the platform's key, with the project p1 and the document d1 in it.
  void MakeOtherHub(const std::string& id) {
    v1::CreateHubRequest hub;
    hub.set_parent(absl::StrCat("tenants/", kTenant));
    hub.set_hub_id(id);
    hub.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub made;
    ASSERT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), hub, &made)), "OK");
    v1::CreateProjectRequest project;
    project.set_parent(HubNamed(id));
    project.set_project_id("p1");
    v1::Project made_project;
    ASSERT_EQ(ReasonOf(projects_->CreateProject(As("owner").get(), project, &made_project)), "OK");
    v1::UpdateDocumentRequest document;
    document.mutable_document()->set_name(OtherDocument(id));
    document.mutable_document()->set_content(R"({"word": "here"})");
    document.set_allow_missing(true);
    v1::Document stored;
    ASSERT_EQ(ReasonOf(documents_->UpdateDocument(As("owner").get(), document, &stored)), "OK");
  }
  static std::string OtherDocument(const std::string& hub) {
    return absl::StrCat(HubNamed(hub), "/projects/p1/collections/c/documents/d1");
  }
  grpc::Status GetNamed(const std::string& name) {
    v1::GetDocumentRequest request;
    request.set_name(name);
    v1::Document found;
    return documents_->GetDocument(As("reader").get(), request, &found);
  }
  grpc::Status Find(const std::string& hub, uint64_t min_sequence = 0) {
    v1::SearchRequest request;
    request.set_parent(hub);
    request.set_min_sequence(min_sequence);
    v1::SearchResponse response;
    return search_->Search(As("reader").get(), request, &response);
  }

  // A server that has no key yet, on a vault that answers so, asked for a document.
  grpc::Status ColdGetOn(const nlohmann::json& faults) {
    owner_->Script(faults);
    StartServer();
    const grpc::Status status = Get("d1");
    owner_->Script(nlohmann::json::array());
    return status;
  }
  static nlohmann::json Always(nlohmann::json fault) {
    fault["count"] = -1;
    return nlohmann::json::array({std::move(fault)});
  }

  // What is wrong with the store is written into it while no server has it.
  void DamageStore(const std::function<void(store::Engine&)>& damage) {
    server_.reset();
    {
      store::ShardSetOptions options;
      options.directory = dir_.path() + "/data/shards";
      options.shards = 2;
      auto engine = store::ShardSet::Open(options);
      ASSERT_TRUE(engine.ok()) << engine.status();
      damage(**engine);
    }
    StartServer();
  }
  static storage::v1::HubRecord HubRecord(const store::Engine& engine, const std::string& hub) {
    auto record = store::HubsTable(engine).Get(store::CatalogPartition(), kTenant, hub);
    return record.ok() && record->has_value() ? **record : storage::v1::HubRecord();
  }
  static store::Partition PartitionOf(const store::Engine& engine, const std::string& hub) {
    const storage::v1::HubRecord record = HubRecord(engine, hub);
    return store::HubPartition(record.shard(), *HubUid::FromBytes(record.uid()));
  }
  // The stored row of that revision, changed at one byte.
  static void ChangeRow(store::Engine& engine, uint64_t revision, size_t at) {
    const store::Partition hub = PartitionOf(engine, "h1");
    auto rows = engine.Scan(hub, store::TableRange(store::Table::kDocuments), 100);
    ASSERT_TRUE(rows.ok()) << rows.status();
    for (store::Row& row : *rows) {
      const auto sealed = crypto::SealedDocument::Parse(row.value);
      ASSERT_TRUE(sealed.ok()) << sealed.status();
      if (sealed->revision() != revision) continue;
      row.value[at < row.value.size() ? at : row.value.size() - 1] ^= 3;
      store::WriteSet writes;
      writes.PutRecord(row.key, row.value);
      ASSERT_TRUE(store::ApplyAndWait(engine, hub, std::move(writes)).ok());
    }
  }

  size_t max_waiters_ = 20'000;
  std::shared_ptr<store::FaultyFileSystem> disk_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace cmkstore
