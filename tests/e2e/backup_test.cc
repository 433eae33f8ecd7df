// AdminService: what a backup has, what a restore gives back, what is refused.

#include "cmkstore/v1/usage_service.grpc.pb.h"
#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

using google::longrunning::Operation;
using ::testing::HasSubstr;

class BackupTest : public BackupFixture {
 protected:
  // The largest table with the highest number of all shards: what was written last.
  std::string NewestTable() const {
    std::string newest;
    for (const auto& file : std::filesystem::recursive_directory_iterator(data_dir() + "/shards")) {
      if (file.path().extension() != ".sst" || file.file_size() < 40'000) continue;
      const std::filesystem::path other = newest;
      if (newest.empty() || file.path().filename() > other.filename()) newest = file.path();
    }
    return newest;
  }
};

TEST_F(BackupTest, ABackupRestoredOfflineHasWhatWasThereAtItsMoment) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{\"v\":1}")), "OK");
  const v1::Backup backup = TakeBackup();
  EXPECT_EQ(backup.hubs(), 1u);
  EXPECT_EQ(backup.shards(), 2u);
  EXPECT_EQ(backup.keys_size(), 0) << "operations are kept and listed";
  v1::GetBackupRequest get;
  get.set_name(backup.name());
  v1::Backup shown;
  ASSERT_EQ(ReasonOf(admin()->GetBackup(As("operator").get(), get, &shown)), "OK");
  ASSERT_EQ(shown.keys_size(), 1);
  EXPECT_THAT(shown.keys(0).kek_id(), HasSubstr("/keys/k1/"));
  EXPECT_EQ(shown.keys(0).tenant(), kTenant);
  ASSERT_EQ(ReasonOf(Put("d1", "{\"v\":2}")), "OK");
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");

  const auto restored = RestoreOffline("other", backup.name());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->hubs, 1u);
  StartOn("other");
  v1::Document document;
  ASSERT_EQ(ReasonOf(Get("d1", &document)), "OK");
  EXPECT_EQ(document.content(), "{\"v\":1}");
  EXPECT_EQ(ReasonOf(Get("d2")), "DOCUMENT_NOT_FOUND") << "it came after the backup";
  ASSERT_EQ(ReasonOf(Put("d3", "{\"v\":\"after\"}")), "OK");
  v1::SearchRequest search;
  search.set_parent(kHub);
  search.set_query("after");
  search.set_min_sequence(2);
  v1::SearchResponse found;
  ASSERT_EQ(ReasonOf(search_->Search(As("reader").get(), search, &found)), "OK");
  EXPECT_EQ(found.hits_size(), 1) << "the index was built again and goes on";
  EXPECT_EQ(Verify().finding_count(), 0u);
}

TEST_F(BackupTest, ABackupRestoredIntoARunningServerHasTheSame) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{\"v\":1}")), "OK");
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  const auto result = ResultOf<v1::RestoreResult>(StartRestore(backup.name()));
  EXPECT_EQ(result.hubs(), 1u);
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  const std::string indexes = data_dir() + "/indexes";
  while (std::filesystem::is_empty(indexes) && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_FALSE(std::filesystem::is_empty(indexes)) << "built before anybody asks for the hub";
  v1::Document document;
  ASSERT_EQ(ReasonOf(Get("d1", &document)), "OK");
  EXPECT_EQ(document.content(), "{\"v\":1}");
  EXPECT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  EXPECT_EQ(Verify().finding_count(), 0u);
  // It outlives the server that it was restored into, and is no copy that can be restored twice.
  StartRestore(backup.name(), "STATE_INVALID");
  EXPECT_THAT(last_message_, HasSubstr("the server has hubs"));
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d2")), "OK");
}

TEST_F(BackupTest, AHubPurgedAfterTheBackupNeverComesBack) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::Backup backup = TakeBackup();
  v1::DeleteHubRequest remove;
  remove.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->DeleteHub(As("owner").get(), remove, &hub).ok());
  clock_.Advance(absl::Hours(7 * 24 + 1));
  StartServer();  // with fresh tokens; its first sweep purges
  const std::string receipt = backups_ + "/purged";
  v1::GetHubRequest get;
  get.set_name(kHub);
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (!hub.purge_receipt().has_finish_time() && absl::Now() < give_up) {
    ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
    absl::SleepFor(absl::Milliseconds(20));
  }
  const auto offline = RestoreOffline("offline", backup.name());
  ASSERT_TRUE(offline.ok()) << offline.status();
  EXPECT_EQ(offline->hubs, 0u);
  EXPECT_EQ(offline->purged_hubs, 1u);
  StartOn("online");
  const auto online = ResultOf<v1::RestoreResult>(StartRestore(backup.name()));
  EXPECT_EQ(online.purged_hubs(), 1u);
  for (const char* data : {"offline", "online"}) {
    StartOn(data);
    EXPECT_EQ(ReasonOf(Get("d1")), "HUB_NOT_FOUND") << data;
    v1::UndeleteHubRequest undelete;
    undelete.set_name(kHub);
    EXPECT_EQ(ReasonOf(hubs_->UndeleteHub(As("owner").get(), undelete, &hub)), "HUB_NOT_FOUND");
    EXPECT_EQ(Verify().documents(), 0u) << "not even its rows are there";
    v1::QueryUsageRequest query;
    query.set_parent(absl::StrCat("tenants/", kTenant));
    query.mutable_start_time()->set_seconds(
        absl::ToUnixSeconds(clock_.WallNow() - absl::Hours(8 * 24)));
    v1::QueryUsageResponse usage;
    EXPECT_EQ(ReasonOf(v1::UsageService::NewStub(channel_)->QueryUsage(As("reader").get(), query,
                                                                       &usage)),
              "OK");
    uint64_t writes = 0;
    for (const v1::UsageRecord& record : usage.records()) writes += record.requests().writes();
    EXPECT_EQ(writes, 1u) << data << ": what it used is still to be paid for";
  }
  // Without the receipts nothing is restored at all.
  std::filesystem::rename(receipt, receipt + ".away");
  const auto blind = RestoreOffline("blind", backup.name());
  EXPECT_THAT(std::string(blind.status().message()), HasSubstr("purge receipts"));
  std::filesystem::rename(receipt + ".away", receipt);
  for (const auto& file : std::filesystem::directory_iterator(receipt)) FlipBit(file.path());
  EXPECT_EQ(ReasonOf(RestoreOffline("blind", backup.name()).status()), "BACKUP_CORRUPT");
}

TEST_F(BackupTest, AHubThatWasLockedInTheBackupComesBackLockedWithItsReceipt) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::KeyStatus locked = Lock();
  ASSERT_TRUE(locked.has_last_receipt());
  const v1::Backup backup = TakeBackup();
  ASSERT_TRUE(RestoreOffline("offline", backup.name()).ok());
  StartOn("online");
  ResultOf<v1::RestoreResult>(StartRestore(backup.name()));
  for (const char* data : {"online", "offline"}) {
    StartOn(data);
    EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED") << data;
    EXPECT_EQ(Lock().last_receipt().ShortDebugString(), locked.last_receipt().ShortDebugString())
        << data << ": the same lock again changes nothing";
    Unlock();
    EXPECT_EQ(ReasonOf(Get("d1")), "OK") << data;
  }
}

TEST_F(BackupTest, OnlyTheOperatorsOfTheServerMayCall) {
  const auto reason = [this](const std::string& role) {
    v1::ListBackupsResponse list;
    return ReasonOf(admin()->ListBackups(As(role).get(), {}, &list));
  };
  EXPECT_EQ(reason("operator"), "OK");
  for (const char* role : {"owner", "contributor", "reader", "key_admin", "auditor"}) {
    EXPECT_EQ(reason(role), "ACCESS_DENIED") << role;
  }
  const Operation operation = StartBackup();
  const auto operations = google::longrunning::Operations::NewStub(channel_);
  google::longrunning::GetOperationRequest get;
  get.set_name(operation.name());
  Operation found;
  EXPECT_EQ(ReasonOf(operations->GetOperation(As("owner").get(), get, &found)), "ACCESS_DENIED");
  EXPECT_EQ(ReasonOf(operations->GetOperation(As("operator").get(), get, &found)), "OK");
  google::longrunning::ListOperationsRequest list;
  list.set_name("server");
  google::longrunning::ListOperationsResponse page;
  EXPECT_EQ(ReasonOf(operations->ListOperations(As("owner").get(), list, &page)), "ACCESS_DENIED");
  EXPECT_EQ(ReasonOf(operations->ListOperations(As("operator").get(), list, &page)), "OK");
  EXPECT_EQ(page.operations_size(), 1);
  Await(operation);
  // The operator of a tenant is no operator of the server.
  for (const char* tenant : {"99999999-2222-4333-8444-555555555555", ""}) {
    operator_tenant_ = tenant;
    StartServer();
    EXPECT_EQ(reason("operator"), "ACCESS_DENIED") << tenant;
  }
}

TEST_F(BackupTest, ARestoreThatDoesNotFitIsRefusedWithTheReason) {
  SetUpHub();
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  StartRestore("backups/none", "BACKUP_NOT_FOUND");
  StartRestore("backups/../backups/x", "BACKUP_NOT_FOUND");
  StartRestore("elsewhere/x", "FIELD_INVALID");
  EXPECT_THAT(std::string(RestoreOffline("data", backup.name()).status().message()),
              HasSubstr("has shards"));
  shards_ = 3;
  StartOn("three");
  StartRestore(backup.name(), "STATE_INVALID");
  EXPECT_THAT(last_message_, HasSubstr("store.shards: 2"));
  EXPECT_THAT(std::string(RestoreOffline("new", backup.name()).status().message()),
              HasSubstr("store.shards: 2"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/new/shards"));
}

TEST_F(BackupTest, ABackupOfHubsUnderThePlatformsKeyNeedsThatKey) {
  v1::CreateHubRequest request;
  request.set_parent(absl::StrCat("tenants/", kTenant));
  request.set_hub_id("h1");
  request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
  v1::Hub hub;
  ASSERT_TRUE(hubs_->CreateHub(As("owner").get(), request, &hub).ok());
  const v1::Backup backup = TakeBackup();
  EXPECT_EQ(backup.platform_managed_hubs(), 1u);
  EXPECT_THAT(std::string(RestoreOffline("other", backup.name()).status().message()),
              HasSubstr("platform.key of the server"));
  std::filesystem::create_directory(dir_.path() + "/other");
  ASSERT_TRUE(WriteFileDurably(dir_.path() + "/other/platform.key", std::string(32, 'k')));
  EXPECT_THAT(std::string(RestoreOffline("other", backup.name()).status().message()),
              HasSubstr("is not that of the server"));
  std::filesystem::copy_file(data_dir() + "/platform.key", dir_.path() + "/other/platform.key",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(RestoreOffline("other", backup.name()).ok());
}

TEST_F(BackupTest, ADamagedFileOfABackupIsFoundAndNeverRestored) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", std::string("{\"v\":\"") + std::string(50'000, 'x') + "\"}")), "OK");
  const v1::Backup backup = TakeBackup();
  EXPECT_EQ(Verify(backup.name()).finding_count(), 0u);
  const std::string file = LargestFile();
  FlipBit(file);
  const v1::VerifyIntegrityResult found = Verify(backup.name());
  ASSERT_EQ(found.finding_count(), 1u);
  EXPECT_THAT(found.findings(0).what(), HasSubstr("does not match"));
  EXPECT_EQ(ReasonOf(RestoreOffline("other", backup.name()).status()), "BACKUP_CORRUPT");
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/other/shards"));
  // The next backup has the same file: it does not lean on the damaged copy, but mends it.
  EXPECT_EQ(Verify(TakeBackup().name()).finding_count(), 0u);
  EXPECT_EQ(Verify(backup.name()).finding_count(), 0u);
  FlipBit(backups_ + "/backups/" + backup.name().substr(8) + ".json");
  StartOn("other");
  StartRestore(backup.name(), "BACKUP_CORRUPT");
}

TEST_F(BackupTest, ADamagedTableFileIsNotBackedUpAndTheBackupsBeforeStay) {
  SetUpHub();
  const auto write = [this](const std::string& id) {
    const std::string content = absl::StrCat("{\"v\":\"", std::string(50'000, 'x'), "\"}");
    ASSERT_EQ(ReasonOf(Put(id, content)), "OK");
    StartServer();  // makes a table of the log
  };
  write("d1");
  const v1::Backup good = TakeBackup();
  write("d2");
  // A compaction may be replacing the table still, from what it holds open.
  std::string table;
  Operation refused;
  int taken = 0;
  do {
    table = NewestTable();
    FlipBit(table);
    refused = Await(StartBackup());
    ++taken;
  } while (!refused.has_error() && !std::filesystem::exists(table));
  const std::string file = std::filesystem::path(table).lexically_relative(data_dir() + "/shards");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(refused.has_error()) << "attempt " << i;
    EXPECT_THAT(refused.error().message(), HasSubstr("the store found damage"));
    EXPECT_THAT(refused.error().message(), HasSubstr(file));
    refused = Await(StartBackup());
  }
  v1::ListBackupsResponse list;
  ASSERT_TRUE(admin()->ListBackups(As("operator").get(), {}, &list).ok());
  ASSERT_EQ(list.backups_size(), taken) << "the good one, and those before the damage";
  EXPECT_EQ(list.backups(taken - 1).name(), good.name());
  EXPECT_EQ(Verify(good.name()).finding_count(), 0u);
}

TEST_F(BackupTest, WithoutADirectoryBackupsAreRefusedAndTheServerServes) {
  std::filesystem::rename(backups_, backups_ + ".unmounted");
  StartServer();
  Operation operation;
  EXPECT_EQ(ReasonOf(admin()->Backup(As("operator").get(), {}, &operation)),
            "BACKUP_STORAGE_FAILED");
  EXPECT_FALSE(std::filesystem::exists(backups_)) << "an empty mount point is not filled";
  SetUpHub();
  EXPECT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  EXPECT_EQ(Verify().finding_count(), 0u) << "a check needs no backup directory";
}

TEST_F(BackupTest, TheIntegrityCheckCountsWhatIsThere) {
  SetUpHub();
  for (int i = 0; i < 5; ++i) ASSERT_EQ(ReasonOf(Put("d1", absl::StrCat("{\"v\":", i, "}"))), "OK");
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d2"));
  v1::DeleteDocumentResponse nothing;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &nothing).ok());
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  const v1::VerifyIntegrityResult result = Verify();
  EXPECT_EQ(result.finding_count(), 0u);
  EXPECT_EQ(result.hubs(), 1u);
  EXPECT_EQ(result.documents(), 2u);
  EXPECT_EQ(result.feed_records(), 8u);
  EXPECT_EQ(result.unnamed_hubs(), 0u);
  EXPECT_FALSE(std::filesystem::exists(data_dir() + "/cut-verify"));
}

TEST_F(BackupTest, TheIntegrityCheckAndAListLookPastADamagedBlock) {
  shards_ = 1;
  StartOn("one-shard");
  constexpr int kDocuments = 40;
  const std::string filling(2'000, 'x');
  for (const char* id : {"h1", "h2", "h3"}) {
    v1::CreateHubRequest create;
    create.set_parent(absl::StrCat("tenants/", kTenant));
    create.set_hub_id(id);
    create.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub hub;
    ASSERT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), create, &hub)), "OK");
    v1::CreateProjectRequest project;
    project.set_parent(hub.name());
    project.set_project_id("p");
    v1::Project made;
    ASSERT_EQ(ReasonOf(projects_->CreateProject(As("owner").get(), project, &made)), "OK");
    v1::BatchWriteDocumentsRequest batch;
    batch.set_parent(hub.name());
    for (int i = 0; i < kDocuments; ++i) {
      v1::Document& document = *batch.add_writes()->mutable_upsert();
      document.set_name(absl::StrCat(made.name(), "/collections/c/documents/d", i));
      document.set_content(absl::StrCat("\"", filling, "\""));
    }
    v1::BatchWriteDocumentsResponse written;
    ASSERT_EQ(ReasonOf(documents_->BatchWriteDocuments(As("contributor").get(), batch, &written)),
              "OK");
  }
  StartOn("one-shard");  // the start writes tables of what the logs hold
  ASSERT_EQ(Verify().documents(), 3u * kDocuments);
  server_.reset();
  std::string table;
  for (const auto& file : std::filesystem::directory_iterator(data_dir() + "/shards/shard-0")) {
    const bool larger = table.empty() || file.file_size() > std::filesystem::file_size(table);
    if (file.path().extension() == ".sst" && larger) table = file.path();
  }
  FlipBit(table);  // in its middle, among the documents of the second hub
  StartOn("one-shard");
  const v1::VerifyIntegrityResult result = Verify();
  std::set<std::string> hubs;
  for (const v1::IntegrityFinding& finding : result.findings()) {
    if (!finding.hub().empty()) hubs.insert(finding.hub());
  }
  EXPECT_THAT(hubs, ::testing::SizeIs(1)) << result.DebugString();
  EXPECT_EQ(result.hubs(), 3u);
  EXPECT_GT(result.documents(), 3u * kDocuments * 3 / 4) << "what one block has is missing";
  EXPECT_LT(result.documents(), 3u * kDocuments);
  EXPECT_GT(result.skipped_bytes(), 0u);
  EXPECT_LT(result.skipped_bytes(), 64u << 10);

  // So does a list, which says that something is missing.
  uint64_t listed = 0;
  std::vector<std::string> missing;
  for (const char* id : {"h1", "h2", "h3"}) {
    v1::ListDocumentsRequest request;
    request.set_parent(
        absl::StrCat("tenants/", kTenant, "/hubs/", id, "/projects/p/collections/-"));
    request.set_page_size(15);
    do {
      v1::ListDocumentsResponse page;
      ASSERT_EQ(ReasonOf(documents_->ListDocuments(As("reader").get(), request, &page)), "OK");
      listed += static_cast<uint64_t>(page.documents_size());
      for (const auto& one : page.unreadable()) missing.push_back(one.reason());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
  }
  EXPECT_EQ(listed, result.documents());
  EXPECT_THAT(missing, ::testing::ElementsAre("STORE_CORRUPT"));
}

}  // namespace
}  // namespace cmkstore
