// GetEncryptionCoverage against a real data directory: the table knows every file, and the answer
// says what is so of the hub.

#include <filesystem>
#include <fstream>

#include "service/coverage_table.h"
#include "tests/e2e/served_hub.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

using ::testing::HasSubstr;

class CoverageTest : public ServedHub {
 protected:
  std::string Coverage(v1::EncryptionCoverage* coverage, const std::string& role = "reader",
                       const std::string& hub = kHub) {
    v1::GetEncryptionCoverageRequest request;
    request.set_name(absl::StrCat(hub, "/encryptionCoverage"));
    return ReasonOf(keys_->GetEncryptionCoverage(As(role).get(), request, coverage));
  }
  void CreatePlatformHub(const std::string& id) {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.set_hub_id(id);
    request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub hub;
    ASSERT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), request, &hub)), "OK");
  }
  void Rotate() {
    v1::RotateDekRequest request;
    request.set_name(kHub);
    google::longrunning::Operation operation;
    ASSERT_EQ(ReasonOf(keys_->RotateDek(As("key_admin").get(), request, &operation)), "OK");
    const grpc::Status ended = testing::AwaitOperation(
        channel_, [this] { return As("reader"); }, operation);
    ASSERT_EQ(ReasonOf(ended), "OK");
    EXPECT_FALSE(operation.has_error());
  }
  void Delete(const std::string& id) {
    v1::DeleteDocumentRequest request;
    request.set_name(NameOf(id));
    v1::DeleteDocumentResponse response;
    ASSERT_EQ(ReasonOf(documents_->DeleteDocument(As("contributor").get(), request, &response)),
              "OK");
  }
  void Search() {
    v1::SearchRequest request;
    request.set_parent(kHub);
    request.set_query("canary");
    v1::SearchResponse response;
    ASSERT_EQ(ReasonOf(search_->Search(As("reader").get(), request, &response)), "OK");
  }
  // Everything that makes files: writes, deletes, searches, rotation, kinds of hubs, restarts.
  void BeBusy() {
    SetUpHub();
    CreatePlatformHub("platform");
    const std::string content = "{\"canary\": \"" + std::string(20'000, 'c') + "\"}";
    for (int i = 0; i < 60; ++i) {
      ASSERT_EQ(ReasonOf(Put(absl::StrCat("canary-", i), content)), "OK");
    }
    Delete("canary-7");
    Search();
    Rotate();
    StartServer();  // the write-ahead logs become table files
    ASSERT_EQ(ReasonOf(Put("canary-after", content)), "OK");
    Search();
  }
  // Relative paths of all files; calls `each` with path and content.
  template <typename Each>
  int WalkData(const Each& each) {
    const std::filesystem::path root = dir_.path() + "/data";
    int files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      each(std::filesystem::relative(entry.path(), root).string(), entry.path().string());
    }
    return files;
  }
};

TEST_F(CoverageTest, EveryFileOfABusyDataDirectoryHasAClassWhileItRunsAndAfter) {
  BeBusy();
  const auto check = [](const std::string& path, const std::string& file) {
    EXPECT_THAT(service::ClassesOfFile(path), ::testing::Not(::testing::IsEmpty()))
        << path << ": add a row to service/coverage_table.cc";
    EXPECT_EQ(ReadFile(file).value_or("").find("canary"), std::string::npos) << path;
  };
  std::set<absl::string_view> seen;
  const int running = WalkData([&](const std::string& path, const std::string& file) {
    check(path, file);
    for (const absl::string_view id : service::ClassesOfFile(path)) seen.insert(id);
  });
  EXPECT_GT(running, 20);
  for (const char* id : {"documents", "search-index", "data-keys", "store-files", "high-water",
                         "platform-key", "development"}) {
    EXPECT_EQ(seen.count(id), 1u) << id << " was to be found in the directory";
  }
  server_.reset();
  EXPECT_GT(WalkData(check), 20);
  // The test bites: a file that nobody knows is noticed.
  std::ofstream(dir_.path() + "/data/indexes/plain.sqlite") << "x";
  int unknown = 0;
  WalkData([&](const std::string& path, const std::string&) {
    unknown += service::ClassesOfFile(path).empty();
  });
  EXPECT_EQ(unknown, 1);
}

TEST_F(CoverageTest, TheAnswerNamesEveryKeyWithItsVersionAndSinceWhen) {
  v1::Hub hub;
  ASSERT_EQ(ReasonOf(CreateHub(&hub)), "OK");
  Rotate();
  v1::EncryptionCoverage coverage;
  ASSERT_EQ(Coverage(&coverage), "OK");
  v1::GetKeyStatusRequest request;
  request.set_name(absl::StrCat(kHub, "/key"));
  v1::KeyStatus status;
  ASSERT_TRUE(keys_->GetKeyStatus(As("reader").get(), request, &status).ok());
  ASSERT_EQ(coverage.keys_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(coverage.keys(i).wrapped_by(), status.generations(i).kek_id());
    EXPECT_EQ(coverage.keys(i).dek_id(), status.generations(i).dek_id());
    EXPECT_EQ(coverage.keys(i).seals(), i == 1);
  }
  EXPECT_THAT(coverage.keys(1).wrapped_by(), HasSubstr(vault_->endpoints().url + "/keys/k1/"));
  EXPECT_EQ(coverage.hub_uid(), hub.uid());
  EXPECT_EQ(coverage.display_name(), "canary-display-name");
  EXPECT_EQ(coverage.hub_create_time().seconds(), hub.create_time().seconds());
  EXPECT_EQ(coverage.server_version().find("0."), 0u);
  EXPECT_EQ(static_cast<size_t>(coverage.entries_size()), service::CoverageClasses().size());
  EXPECT_EQ(static_cast<size_t>(coverage.resources_outside_size()),
            service::OutsideResources().size());
  for (const v1::CoverageEntry& entry : coverage.entries()) {
    EXPECT_EQ(entry.has_since_time(), !entry.key().empty()) << entry.id();
    if (entry.id() == "data-keys") {
      EXPECT_EQ(entry.key(), "the hub's key in the vault");
      EXPECT_EQ(entry.protection(), v1::CoverageEntry::WRAPPED);
    }
  }
}

TEST_F(CoverageTest, APlatformManagedHubIsNotSaidToBeUnderACustomersKey) {
  CreatePlatformHub("h1");
  v1::EncryptionCoverage coverage;
  ASSERT_EQ(Coverage(&coverage), "OK");
  EXPECT_TRUE(coverage.encryption().has_platform_managed());
  for (const v1::CoverageEntry& entry : coverage.entries()) {
    EXPECT_EQ(entry.key().find("vault"), std::string::npos) << entry.id();
    if (entry.id() == "data-keys") {
      EXPECT_EQ(entry.key(), "the service's platform key");
    }
  }
}

TEST_F(CoverageTest, ItGoesOnWhileTheHubIsLockedWithoutTheDisplayName) {
  SetUpHub();
  Lock();
  v1::EncryptionCoverage coverage;
  ASSERT_EQ(Coverage(&coverage), "OK");
  EXPECT_EQ(coverage.hub_state(), v1::Hub::LOCKED);
  EXPECT_EQ(coverage.display_name(), "");
  EXPECT_EQ(coverage.keys_size(), 1);
}

TEST_F(CoverageTest, OnlyWhoMaySeeTheHubMaySeeIt) {
  SetUpHub();
  v1::EncryptionCoverage coverage;
  EXPECT_EQ(Coverage(&coverage, "auditor"), "OK");
  EXPECT_EQ(Coverage(&coverage, "owner", "tenants/other/hubs/h1"), "ACCESS_DENIED");
  EXPECT_EQ(Coverage(&coverage, "owner", absl::StrCat("tenants/", kTenant, "/hubs/none")),
            "HUB_NOT_FOUND");
}

}  // namespace
}  // namespace cmkstore
