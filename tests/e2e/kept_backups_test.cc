// Which backups stay, and which go with what they alone needed.

#include "service/backup/backup_store.h"
#include "tests/e2e/admin_page.h"
#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

class KeptBackupsTest : public BackupFixture {
 protected:
  void Adjust(service::ServerOptions& options) override {
    BackupFixture::Adjust(options);
    options.admin_address = "127.0.0.1:0";
    options.backup.bytes_per_second = bytes_per_second_;
    options.backup.receipts_directory = receipts_;
  }
  // Until it has moved bytes, and is far from done.
  void AwaitProgress(const google::longrunning::Operation& started) {
    const auto operations = google::longrunning::Operations::NewStub(channel_);
    google::longrunning::GetOperationRequest request;
    request.set_name(started.name());
    google::longrunning::Operation operation;
    v1::OperationMetadata metadata;
    while (metadata.done() == 0) {
      ASSERT_EQ(ReasonOf(operations->GetOperation(As("operator").get(), request, &operation)),
                "OK");
      ASSERT_FALSE(operation.done()) << operation.error().message();
      ASSERT_TRUE(operation.metadata().UnpackTo(&metadata));
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  grpc::Status Delete(const std::string& name) {
    v1::DeleteBackupRequest request;
    request.set_name(name);
    google::protobuf::Empty nothing;
    return admin()->DeleteBackup(As("operator").get(), request, &nothing);
  }
  std::vector<v1::Backup> List() {
    v1::ListBackupsResponse list;
    EXPECT_EQ(ReasonOf(admin()->ListBackups(As("operator").get(), {}, &list)), "OK");
    return {list.backups().begin(), list.backups().end()};
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const v1::Backup& backup : List()) names.push_back(backup.name());
    return names;
  }
  int64_t NewestByMetric() {
    return static_cast<int64_t>(
        AdminMetric(server_->admin_port(), "cmkstore_backup_last_success_timestamp_seconds"));
  }
  void PutLarge(const std::string& id) {
    const std::string content = absl::StrCat("{\"v\":\"", std::string(9000, 'x'), "\"}");
    ASSERT_EQ(ReasonOf(Put(id, content)), "OK");
  }
  std::string ManifestOf(const v1::Backup& backup) const {
    return absl::StrCat(backups_, "/", backup.name(), ".json");
  }

  uint64_t bytes_per_second_ = 0;
  std::string receipts_;  // empty: within the backups
};

TEST_F(KeptBackupsTest, TheSecondBackupWritesOnlyWhatIsNewAndOldOnesGo) {
  keep_ = 2;
  StartServer();
  SetUpHub();
  for (int i = 0; i < 50; ++i) PutLarge(absl::StrCat("d", i));
  const v1::Backup first = TakeBackup();
  ASSERT_EQ(ReasonOf(Put("one-more", "{}")), "OK");
  const v1::Backup second = TakeBackup();
  EXPECT_GT(second.size_bytes(), 400'000u);
  EXPECT_LT(second.new_bytes(), 200'000u);
  const v1::Backup third = TakeBackup();
  EXPECT_THAT(Names(), ::testing::ElementsAre(third.name(), second.name()))
      << "keep: 2, newest first";
  EXPECT_EQ(List()[0].keys_size(), 0);
  v1::GetBackupRequest get;
  get.set_name(first.name());
  v1::Backup found;
  EXPECT_EQ(ReasonOf(admin()->GetBackup(As("operator").get(), get, &found)), "BACKUP_NOT_FOUND");
  EXPECT_LE(CountOfFiles(), second.files() + third.files());
  EXPECT_EQ(Verify(third.name()).finding_count(), 0u) << "what is shared with the first is there";
}

TEST_F(KeptBackupsTest, ANewBackupStaysAndIsTheNewestAlsoWhenTheClockWasSetBack) {
  keep_ = 1;
  clock_.Advance(absl::Hours(1));
  StartServer();
  const v1::Backup before = TakeBackup();
  server_.reset();
  clock_.Advance(-absl::Hours(1));
  StartServer();
  EXPECT_LE(NewestByMetric(), absl::ToUnixSeconds(clock_.WallNow())) << "none is of the future";
  const v1::Backup after = TakeBackup();
  EXPECT_GT(after.name(), before.name());
  EXPECT_THAT(Names(), ::testing::ElementsAre(after.name()));
}

TEST_F(KeptBackupsTest, ADeletedBackupTakesAlongWhatOnlyItNeeded) {
  SetUpHub();
  PutLarge("d1");
  const v1::Backup first = TakeBackup();
  PutLarge("d2");
  const v1::Backup second = TakeBackup();
  const size_t files = CountOfFiles();
  EXPECT_EQ(ReasonOf(Delete(second.name())), "OK");
  EXPECT_THAT(Names(), ::testing::ElementsAre(first.name()));
  EXPECT_LT(CountOfFiles(), files);
  EXPECT_LE(CountOfFiles(), first.files());
  EXPECT_EQ(Verify(first.name()).finding_count(), 0u);
  EXPECT_EQ(ReasonOf(Delete(second.name())), "BACKUP_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Delete("backups/../files")), "BACKUP_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Delete(second.name().substr(8))), "FIELD_INVALID");
}

TEST_F(KeptBackupsTest, ABackupThatIsBeingRestoredIsNotDeleted) {
  SetUpHub();
  for (int i = 0; i < 20; ++i) PutLarge(absl::StrCat("d", i));
  const v1::Backup first = TakeBackup();
  const v1::Backup second = TakeBackup();
  bytes_per_second_ = first.size_bytes() / 3;
  StartOn("other");
  const google::longrunning::Operation restore = StartRestore(first.name());
  AwaitProgress(restore);
  EXPECT_EQ(ReasonOf(Delete(first.name())), "STATE_INVALID");
  EXPECT_EQ(ReasonOf(Delete(second.name())), "OK") << "another one";
  EXPECT_EQ(ResultOf<v1::RestoreResult>(restore).hubs(), 1u);
  EXPECT_EQ(ReasonOf(Delete(first.name())), "OK");
}

TEST_F(KeptBackupsTest, WhileOneIsRestoredNothingIsBackedUpAndNothingElseRestored) {
  SetUpHub();
  for (int i = 0; i < 20; ++i) PutLarge(absl::StrCat("d", i));
  const v1::Backup backup = TakeBackup();
  bytes_per_second_ = backup.size_bytes() / 3;
  StartOn("other");
  const google::longrunning::Operation restore = StartRestore(backup.name());
  google::longrunning::Operation refused;
  const grpc::Status status = admin()->Backup(As("operator").get(), {}, &refused);
  EXPECT_EQ(ReasonOf(status), "STATE_INVALID");
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("is being restored into this server"));
  StartRestore(backup.name(), "STATE_INVALID");
  EXPECT_THAT(last_message_, ::testing::HasSubstr("is being restored into this server already"));
  EXPECT_EQ(ResultOf<v1::RestoreResult>(restore).hubs(), 1u);
  EXPECT_EQ(TakeBackup().hubs(), 1u) << "at once when it has ended";
}

TEST_F(KeptBackupsTest, NothingIsRestoredWhileABackupIsTaken) {
  SetUpHub();
  const v1::Backup backup = TakeBackup();
  bytes_per_second_ = 500;
  StartOn("other");
  StartBackup();  // goes on until the end of the server
  StartRestore(backup.name(), "STATE_INVALID");
  EXPECT_THAT(last_message_, ::testing::HasSubstr("a backup of this server is being taken"));
}

TEST_F(KeptBackupsTest, ABackupThatIsReadByARestoreIsNotPruned) {
  keep_ = 1;
  StartServer();
  SetUpHub();
  const v1::Backup first = TakeBackup();
  const std::string id = first.name().substr(8);
  const auto store = service::BackupStore::Open(backups_);
  ASSERT_TRUE(store.ok());
  auto held = store->Hold(id);
  ASSERT_TRUE(held.ok()) << held.status();
  const v1::Backup second = TakeBackup();
  EXPECT_THAT(Names(), ::testing::ElementsAre(second.name(), first.name()));
  EXPECT_EQ(Verify(first.name()).finding_count(), 0u);
  held = nullptr;
  const v1::Backup third = TakeBackup();
  EXPECT_THAT(Names(), ::testing::ElementsAre(third.name()));
  EXPECT_EQ(store->Hold(id).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(KeptBackupsTest, ARestoreHoldsItsBackupWhileItReads) {
  SetUpHub();
  const v1::Backup backup = TakeBackup();
  const auto store = service::BackupStore::Open(backups_);
  ASSERT_TRUE(store.ok());
  std::string reason;
  const service::WorkWatch watch{
      [&] {
        if (reason.empty()) reason = absl::StrCat(store->Remove(backup.name().substr(8)).message());
        return absl::OkStatus();
      },
      [](uint64_t, uint64_t) {}};
  const auto restored = service::RestoreOffline(BackupSettings(), backup.name().substr(8),
                                                {dir_.path() + "/new", shards_}, clock_, watch);
  EXPECT_TRUE(restored.ok()) << restored.status();
  EXPECT_THAT(reason, ::testing::HasSubstr("is being restored"));
}

TEST_F(KeptBackupsTest, ABackupThatIsDeletedWhileItIsVerifiedIsNotCalledDamaged) {
  SetUpHub();
  for (int i = 0; i < 20; ++i) PutLarge(absl::StrCat("d", i));
  const v1::Backup backup = TakeBackup();
  bytes_per_second_ = backup.size_bytes() / 3;
  StartServer();
  v1::VerifyIntegrityRequest request;
  request.set_backup(backup.name());
  google::longrunning::Operation verify;
  ASSERT_EQ(ReasonOf(admin()->VerifyIntegrity(As("operator").get(), request, &verify)), "OK");
  AwaitProgress(verify);
  ASSERT_EQ(ReasonOf(Delete(backup.name())), "OK");
  const google::longrunning::Operation ended = Await(verify);
  EXPECT_THAT(ended.error().message(), ::testing::HasSubstr("was deleted while it was verified"));
  EXPECT_EQ(AdminMetric(server_->admin_port(), "cmkstore_integrity_errors_total"), 0);
}

TEST_F(KeptBackupsTest, TheNewestBackupIsTheNewestOfThisStore) {
  SetUpHub();
  const v1::Backup first = TakeBackup();
  clock_.Advance(absl::Hours(1));
  StartOn("other");
  EXPECT_EQ(NewestByMetric(), 0) << "those of another store do not count";
  const v1::Backup others = TakeBackup();
  EXPECT_EQ(NewestByMetric(), others.create_time().seconds());
  EXPECT_TRUE(List()[0].of_this_store());
  EXPECT_FALSE(List()[1].of_this_store());
  EXPECT_EQ(ReasonOf(Delete(others.name())), "OK");
  EXPECT_EQ(NewestByMetric(), 0);
  EXPECT_EQ(ReasonOf(Delete(first.name())), "OK") << "that of a server which is gone";
  EXPECT_EQ(CountOfFiles(), 0u);
}

TEST_F(KeptBackupsTest, ABackupThatFailsLeavesNothingThatFillsTheDisk) {
  SetUpHub();
  const v1::Backup whole = TakeBackup();
  const size_t files = CountOfFiles();
  PutLarge("d1");
  // What one has left that a full disk has cut off, and something that no file can be written over.
  std::filesystem::create_directories(backups_ + "/files/ab");
  const std::string left = absl::StrCat(backups_, "/files/ab/ab", std::string(62, '0'));
  ASSERT_TRUE(WriteFileDurably(left, std::string(100'000, 'x')));
  std::filesystem::create_directory(backups_ + "/files/next");
  const google::longrunning::Operation failed = Await(StartBackup());
  EXPECT_THAT(failed.error().message(), ::testing::HasSubstr("the backup directory fails"));
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(CountOfFiles(), files);
  std::filesystem::remove(backups_ + "/files/next");
  EXPECT_EQ(Verify(whole.name()).finding_count(), 0u);
  EXPECT_EQ(Verify(TakeBackup().name()).finding_count(), 0u);
}

TEST_F(KeptBackupsTest, ConfiguredReceiptsAreNeverMadeAnewWhereTheyAreNotMounted) {
  receipts_ = dir_.path() + "/receipts";
  StartServer();
  SetUpHub();
  const google::longrunning::Operation refused = Await(StartBackup());
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("backup.receipts_directory"));
  EXPECT_FALSE(std::filesystem::exists(receipts_));
  EXPECT_TRUE(Names().empty());
  std::filesystem::create_directory(receipts_);
  EXPECT_EQ(TakeBackup().hubs(), 1u);
  EXPECT_FALSE(std::filesystem::exists(backups_ + "/purged"));
}

TEST_F(KeptBackupsTest, ADamagedManifestKeepsItsFilesAndNoOtherBackup) {
  keep_ = 2;
  StartServer();
  SetUpHub();
  PutLarge("d1");
  const v1::Backup damaged = TakeBackup();
  const std::string manifest = *ReadFile(ManifestOf(damaged));
  FlipBit(ManifestOf(damaged));
  std::vector<std::string> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(TakeBackup().name());
  EXPECT_THAT(Names(), ::testing::ElementsAre(taken[2], taken[1], damaged.name()));
  ASSERT_TRUE(WriteFileDurably(ManifestOf(damaged), manifest));  // by hand, from a copy
  EXPECT_EQ(Verify(damaged.name()).finding_count(), 0u);
  FlipBit(ManifestOf(damaged));
  EXPECT_EQ(ReasonOf(Delete(damaged.name())), "OK");
  EXPECT_THAT(Names(), ::testing::ElementsAre(taken[2], taken[1]));
}

}  // namespace
}  // namespace cmkstore
