// Data written by each released version opens in this one; data of a later version is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "base/errors.h"
#include "base/log.h"
#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/search_service.grpc.pb.h"
#include "service/apply_blocking.h"
#include "service/backup/backup_store.h"
#include "service/backup/checked_file.h"
#include "service/backup/restore.h"
#include "service/store_record.h"
#include "store/tables.h"
#include "tests/testing/await_operation.h"
#include "tests/testing/temp_dir.h"
#include "tests/upgrade/golden_server.h"

namespace cmkstore::upgrade {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kGolden[] = "tests/golden/data";

std::vector<std::string> Versions() {
  std::vector<std::string> versions;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (entry.is_directory()) versions.push_back(entry.path().filename());
  }
  return versions;
}

class UpgradeTest : public ::testing::TestWithParam<std::string> {
 protected:
  UpgradeTest() {
    SetLogFile(dir_.path() + "/log.jsonl");
    fs::copy(absl::StrCat(kGolden, "/", GetParam()), dir_.path(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    fs::create_directory(dir_.path() + "/backups/purged");  // empty: git does not keep it
  }
  ~UpgradeTest() override { SetLogFile("/dev/stderr"); }

  void ExpectAllIsThere(GoldenServer& server) {
    const auto expected = nlohmann::json::parse(*ReadFile(dir_.path() + "/expected.json"));
    const auto documents = v1::DocumentService::NewStub(server.channel());
    for (const auto& [name, document] : expected["documents"].items()) {
      v1::GetDocumentRequest get;
      get.set_name(name);
      v1::Document found;
      const grpc::Status status = documents->GetDocument(server.As("reader").get(), get, &found);
      if (document.is_null()) {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND) << name;
        continue;
      }
      ASSERT_TRUE(status.ok()) << name << ": " << status.error_message();
      EXPECT_EQ(found.content(), document["content"]);
      EXPECT_EQ(found.revision(), document["revision"]);
      EXPECT_EQ(found.labels().at("team"), "retail");
    }
    v1::SearchRequest search;
    search.set_parent(absl::StrCat("tenants/", kTenant, "/hubs/platform"));
    search.set_query("golden");
    search.set_min_sequence(1);
    v1::SearchResponse hits;
    const grpc::Status searched = v1::SearchService::NewStub(server.channel())
                                      ->Search(server.As("reader").get(), search, &hits);
    EXPECT_TRUE(searched.ok()) << searched.error_message();
    EXPECT_GT(hits.hits_size(), 0);
    v1::GetHubRequest get;
    get.set_name(absl::StrCat("tenants/", kTenant, "/hubs/customer"));
    v1::Hub hub;
    EXPECT_TRUE(v1::HubService::NewStub(server.channel())
                    ->GetHub(server.As("reader").get(), get, &hub)
                    .ok());
    EXPECT_EQ(hub.encryption().customer_managed().key_name(), "k1");
  }
  void ExpectSound(GoldenServer& server) {
    google::longrunning::Operation operation;
    ASSERT_TRUE(v1::AdminService::NewStub(server.channel())
                    ->VerifyIntegrity(server.As("operator").get(), {}, &operation)
                    .ok());
    ASSERT_TRUE(testing::AwaitOperation(
                    server.channel(), [&] { return server.As("operator"); }, operation)
                    .ok());
    v1::VerifyIntegrityResult result;
    ASSERT_TRUE(operation.response().UnpackTo(&result)) << operation.error().message();
    EXPECT_EQ(result.finding_count(), 0u) << result.findings(0).what();
    EXPECT_EQ(result.hubs(), 2u);
  }

  testing::TempDir dir_;
  SystemClock clock_;
};

TEST_P(UpgradeTest, ItsDataOpensIsSoundAndTakesWrites) {
  GoldenServer server(dir_.path() + "/data", dir_.path() + "/work", clock_);
  ASSERT_TRUE(server.status().ok()) << server.status();
  ExpectAllIsThere(server);
  ExpectSound(server);
  v1::UpdateDocumentRequest put;
  put.mutable_document()->set_name(absl::StrCat(
      "tenants/", kTenant, "/hubs/platform/projects/p1/collections/flows/documents/new"));
  put.mutable_document()->set_content("{}");
  put.set_allow_missing(true);
  v1::Document stored;
  EXPECT_TRUE(v1::DocumentService::NewStub(server.channel())
                  ->UpdateDocument(server.As("contributor").get(), put, &stored)
                  .ok());
}

TEST_P(UpgradeTest, ItsBackupIsRestored) {
  service::BackupOptions options;
  options.directory = dir_.path() + "/backups";
  const auto store = service::BackupStore::Open(options.directory);
  ASSERT_TRUE(store.ok());
  const auto ids = store->List("", 10);
  ASSERT_TRUE(ids.ok() && ids->size() == 1);
  const std::string data = dir_.path() + "/restored";
  fs::create_directory(data);
  fs::copy_file(dir_.path() + "/data/platform.key", data + "/platform.key");
  const auto restored =
      service::RestoreOffline(options, ids->front(), {data, kShards}, clock_,
                              {[] { return absl::OkStatus(); }, [](uint64_t, uint64_t) {}});
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->hubs, 2u);
  GoldenServer server(data, dir_.path() + "/work", clock_);
  ASSERT_TRUE(server.status().ok()) << server.status();
  ExpectAllIsThere(server);
  ExpectSound(server);
}

TEST_P(UpgradeTest, WhatALaterVersionWroteIsRefused) {
  {
    store::ShardSetOptions options;
    options.directory = dir_.path() + "/data/shards";
    options.shards = kShards;
    const auto shards = store::ShardSet::Open(options);
    ASSERT_TRUE(shards.ok()) << shards.status();
    const auto record = store::StoreTable(**shards).Get(store::CatalogPartition());
    ASSERT_TRUE(record.ok() && record->has_value());
    storage::v1::StoreRecord later = **record;
    later.set_format_version(service::kStoreFormatVersion + 1);
    store::WriteSet writes;
    store::StoreTable::Put(writes, later);
    ASSERT_TRUE(
        service::ApplyBlocking(**shards, store::CatalogPartition(), std::move(writes)).ok());
  }
  const GoldenServer server(dir_.path() + "/data", dir_.path() + "/work", clock_);
  EXPECT_TRUE(HasReason(server.status(), "FORMAT_TOO_NEW")) << server.status();
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("data directory"));
}

TEST_P(UpgradeTest, ABackupThatALaterVersionWroteIsRefused) {
  const std::string backups = dir_.path() + "/backups";
  const auto store = service::BackupStore::Open(backups);
  ASSERT_TRUE(store.ok());
  const std::string id = store->List("", 1)->front();
  const auto manifest = store->Read(id);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  service::BackupOptions options;
  options.directory = backups;
  storage::v1::BackupManifest later = *manifest;
  later.set_format_version(2);
  ASSERT_TRUE(service::WriteChecked(backups + "/backups/" + id + ".json", later).ok());
  EXPECT_TRUE(HasReason(store->Read(id).status(), "FORMAT_TOO_NEW"));
  later = *manifest;
  later.set_store_format_version(service::kStoreFormatVersion + 1);
  ASSERT_TRUE(service::WriteChecked(backups + "/backups/" + id + ".json", later).ok());
  EXPECT_TRUE(HasReason(service::CheckRestore(options, id, {dir_.path() + "/new", kShards}),
                        "FORMAT_TOO_NEW"));
}

INSTANTIATE_TEST_SUITE_P(Golden, UpgradeTest, ::testing::ValuesIn(Versions()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = absl::ascii_isalnum(c) ? c : '_';
                           return name;
                         });

TEST(UpgradeGoldenTest, ThereIsAtLeastOneVersion) { EXPECT_FALSE(Versions().empty()); }

}  // namespace
}  // namespace cmkstore::upgrade
