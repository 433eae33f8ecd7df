// A restore into the running server that is cut off, or that the store refuses in the middle.

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "service/apply_blocking.h"
#include "service/backup/purge_receipts.h"
#include "service/hub_directory.h"
#include "service/operation_codec.h"
#include "store/rocksdb/shard_set.h"
#include "store/tables.h"
#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

using google::longrunning::Operation;
using ::testing::HasSubstr;

// A disk that is full for commits of hubs' names, or of what else is named, a number of times.
class RefusedCommits final : public rocksdb::FileSystemWrapper {
 public:
  RefusedCommits() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "RefusedCommits"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = target()->NewWritableFile(path, options, file, debug);
    if (status.ok() && path.ends_with(".log"))
      *file = std::make_unique<Log>(std::move(*file), of, left);
    return status;
  }

  std::string of = absl::StrCat("@", kTenant);  // while no server runs
  std::atomic<int> left = 0;

 private:
  class Log final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    Log(std::unique_ptr<rocksdb::FSWritableFile> file, std::string of, std::atomic<int>& left)
        : FSWritableFileOwnerWrapper(std::move(file)), of_(std::move(of)), left_(left) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      const bool is_refused = data.ToString().find(of_) != std::string::npos;
      if (is_refused && left_-- > 0) {
        rocksdb::IOStatus full = rocksdb::IOStatus::NoSpace("injected");
        full.SetRetryable(true);
        return full;
      }
      return target()->Append(data, options, debug);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }

   private:
    const std::string of_;
    std::atomic<int>& left_;
  };
};

class RestoreTest : public BackupFixture {
 protected:
  ~RestoreTest() override { server_.reset(); }

  void Adjust(service::ServerOptions& options) override {
    BackupFixture::Adjust(options);
    options.shards.env = env_.get();
    options.shards.resume_interval = absl::Milliseconds(100);
  }
  grpc::Status CreatePlatformHub(const std::string& id) {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.set_hub_id(id);
    request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub hub;
    return hubs_->CreateHub(As("owner").get(), request, &hub);
  }
  std::unique_ptr<store::ShardSet> OpenShards() const {
    store::ShardSetOptions options;
    options.directory = data_dir() + "/shards";
    options.shards = shards_;
    auto shards = store::ShardSet::Open(options);
    EXPECT_TRUE(shards.ok()) << shards.status();
    return shards.ok() ? *std::move(shards) : nullptr;
  }
  // As a crash leaves it: makes a restore that is under way, or has just ended, of a done
  // operation. No server runs.
  void MarkRestoreAsUnderWay(const std::string& operation, const std::string& backup,
                             bool rows_copied, std::optional<int> ended_with = std::nullopt) {
    const auto shards = OpenShards();
    ASSERT_NE(shards, nullptr);
    const std::string id = operation.substr(service::kServerOperations.size());
    const auto ended = store::OperationsTable(*shards).Get(store::CatalogPartition(), id);
    ASSERT_TRUE(ended.ok() && ended->has_value());
    storage::v1::OperationRecord under_way = **ended;
    under_way.set_done(ended_with.has_value());
    under_way.set_error_code(ended_with.value_or(0));
    under_way.set_cancel_requested(cancelled_);
    under_way.set_kind("restore");
    under_way.set_argument(backup.substr(8));
    storage::v1::PendingOperation pending;
    pending.set_operation(id);
    storage::v1::RestoreRecord restore;
    restore.set_backup(backup.substr(8));
    restore.set_rows_copied(rows_copied);
    store::WriteSet writes;
    store::OperationsTable::Put(writes, id, under_way);
    store::PendingOperationsTable::Put(writes, service::ServerEntry()->uid, id, pending);
    store::RestoreTable::Put(writes, restore);
    ASSERT_TRUE(service::ApplyBlocking(*shards, store::CatalogPartition(), std::move(writes)).ok());
  }
  // As a restore leaves it that ended early: rows, and no name. No server runs.
  void ForgetTheHubsName(storage::v1::HubRecord* forgotten = nullptr) {
    const auto shards = OpenShards();
    ASSERT_NE(shards, nullptr);
    const auto hub = store::HubsTable(*shards).Get(store::CatalogPartition(), kTenant, "h1");
    ASSERT_TRUE(hub.ok() && hub->has_value());
    if (forgotten != nullptr) *forgotten = **hub;
    store::WriteSet writes;
    store::HubsTable::Delete(writes, kTenant, "h1");
    ASSERT_TRUE(service::ApplyBlocking(*shards, store::CatalogPartition(), std::move(writes)).ok());
  }

  bool cancelled_ = false;  // what MarkRestoreAsUnderWay leaves
  std::shared_ptr<RefusedCommits> disk_ = std::make_shared<RefusedCommits>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(disk_);
};

TEST_F(RestoreTest, ARestoreThatGoesOnAfterACrashKeepsWhatWasWrittenSinceItsHubsHadNames) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{\"v\":1}")), "OK");
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  const Operation ended = Await(StartRestore(backup.name()));
  ASSERT_EQ(ReasonOf(Put("d1", "{\"v\":2}")), "OK");
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  Lock();
  server_.reset();
  MarkRestoreAsUnderWay(ended.name(), backup.name(), /*rows_copied=*/true);
  StartServer();
  Operation resumed;
  resumed.set_name(ended.name());
  ASSERT_TRUE(Await(resumed).done());
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  Unlock();
  v1::Document document;
  ASSERT_EQ(ReasonOf(Get("d1", &document)), "OK");
  EXPECT_EQ(document.content(), "{\"v\":2}");
  EXPECT_EQ(ReasonOf(Get("d2")), "OK");
  EXPECT_EQ(Verify().finding_count(), 0u);
}

TEST_F(RestoreTest, ARestoreOfWhichHubsHaveNamesIsNeitherGivenUpNorCancelled) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  const Operation ended = Await(StartRestore(backup.name()));
  server_.reset();
  cancelled_ = true;
  MarkRestoreAsUnderWay(ended.name(), backup.name(), /*rows_copied=*/true);
  const std::string away = backups_ + "-not-mounted";
  std::filesystem::rename(backups_, away);
  StartServer();
  const auto waits = [this] {
    return ReadFile(dir_.path() + "/log.jsonl")->find("restore_waits") != std::string::npos;
  };
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (!waits() && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_TRUE(waits());
  EXPECT_EQ(ReasonOf(CreatePlatformHub("later")), "STATE_INVALID");
  std::filesystem::rename(away, backups_);
  clock_.Advance(absl::Minutes(1));
  Operation resumed;
  resumed.set_name(ended.name());
  EXPECT_EQ(ResultOf<v1::RestoreResult>(resumed).hubs(), 1u);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(ReasonOf(CreatePlatformHub("later")), "OK");
}

TEST_F(RestoreTest, ARestoreTakesNothingFromOneThatEndedEarly) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::Backup older = TakeBackup();
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  const v1::Backup newer = TakeBackup();
  StartOn("other");
  ResultOf<v1::RestoreResult>(StartRestore(newer.name()));
  server_.reset();
  ForgetTheHubsName();
  StartServer();
  ResultOf<v1::RestoreResult>(StartRestore(older.name()));
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(ReasonOf(Get("d2")), "DOCUMENT_NOT_FOUND");
  EXPECT_EQ(Verify().finding_count(), 0u);
}

TEST_F(RestoreTest, ARestoreThatGoesOnNamesNoHubsWhoseRowsItHasNotCopied) {
  SetUpHub();
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  // Created between the look at an empty server and the mark of the restore.
  ASSERT_EQ(ReasonOf(CreatePlatformHub("early")), "OK");
  v1::VerifyIntegrityRequest request;
  Operation operation;
  ASSERT_EQ(ReasonOf(admin()->VerifyIntegrity(As("operator").get(), request, &operation)), "OK");
  Await(operation);
  server_.reset();
  MarkRestoreAsUnderWay(operation.name(), backup.name(), /*rows_copied=*/false);
  StartServer();
  Operation resumed;
  resumed.set_name(operation.name());
  EXPECT_THAT(Await(resumed).error().message(), HasSubstr("the server has hubs"));
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_NOT_FOUND");
  EXPECT_EQ(Verify().finding_count(), 0u) << "the early hub has its rows";
  EXPECT_EQ(ReasonOf(CreatePlatformHub("later")), "OK");
}

TEST_F(RestoreTest, TheMarkOfARestoreThatHasEndedGoesWithTheNextStart) {
  server_.reset();
  {
    const auto shards = OpenShards();
    ASSERT_NE(shards, nullptr);
    store::WriteSet mark;
    store::RestoreTable::Put(mark, {});
    ASSERT_TRUE(service::ApplyBlocking(*shards, store::CatalogPartition(), std::move(mark)).ok());
  }
  StartServer();
  EXPECT_EQ(ReasonOf(CreatePlatformHub("h1")), "OK");
}

TEST_F(RestoreTest, ARestoreWhoseNamesAFullDiskRefusesGoesOnWhenThereIsRoom) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  disk_->left = 2;
  EXPECT_EQ(ResultOf<v1::RestoreResult>(StartRestore(backup.name())).hubs(), 1u);
  EXPECT_LE(disk_->left, 0);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(Verify().finding_count(), 0u);
}

TEST_F(RestoreTest, ARestoreWhoseEndWasNotWrittenBeforeTheServerStoppedEndsWellAfterTheNextStart) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::Backup backup = TakeBackup();
  server_.reset();
  disk_->of = "RestoreResult";
  disk_->left = 1'000'000;
  StartOn("other");
  const Operation shown = Await(StartRestore(backup.name()));
  EXPECT_FALSE(shown.has_error());
  google::longrunning::ListOperationsRequest request;
  request.set_name("server");
  google::longrunning::ListOperationsResponse all;
  ASSERT_EQ(ReasonOf(google::longrunning::Operations::NewStub(channel_)->ListOperations(
                As("operator").get(), request, &all)),
            "OK");
  ASSERT_EQ(all.operations_size(), 1);
  EXPECT_TRUE(all.operations(0).done()) << "as it is shown by its name";
  server_.reset();
  disk_->left = 0;
  StartServer();
  Operation resumed;
  resumed.set_name(shown.name());
  EXPECT_EQ(ResultOf<v1::RestoreResult>(resumed).hubs(), 1u);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(ReasonOf(CreatePlatformHub("later")), "OK");
}

TEST_F(RestoreTest, ARestoreThatEndedInTheMiddleIsNotServedFromAsIfItWereAll) {
  SetUpHub();
  const v1::Backup backup = TakeBackup();
  StartOn("other");
  const Operation ended = Await(StartRestore(backup.name()));
  for (const int code : {13, 0}) {
    server_.reset();
    MarkRestoreAsUnderWay(ended.name(), backup.name(), /*rows_copied=*/true, code);
    StartServer();
    EXPECT_EQ(ReasonOf(CreatePlatformHub("later")), code == 0 ? "OK" : "STATE_INVALID");
  }
}

TEST_F(RestoreTest, AHubThatIsPurgedBetweenTwoRunsOfARestoreLeavesNoRows) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  ASSERT_EQ(ReasonOf(CreatePlatformHub("h2")), "OK");
  const v1::Backup backup = TakeBackup();
  server_.reset();
  std::filesystem::create_directory(dir_.path() + "/other");
  std::filesystem::copy_file(data_dir() + "/platform.key", dir_.path() + "/other/platform.key");
  StartOn("other");
  const Operation ended = Await(StartRestore(backup.name()));
  ASSERT_FALSE(ended.has_error()) << ended.error().message();
  server_.reset();
  storage::v1::HubRecord purged;
  ForgetTheHubsName(&purged);
  ASSERT_TRUE(service::PurgeReceipts(BackupSettings()).Keep(purged).ok());
  MarkRestoreAsUnderWay(ended.name(), backup.name(), /*rows_copied=*/true);
  StartServer();
  Operation resumed;
  resumed.set_name(ended.name());
  EXPECT_EQ(ResultOf<v1::RestoreResult>(resumed).purged_hubs(), 1u);
  server_.reset();
  const auto shards = OpenShards();
  ASSERT_NE(shards, nullptr);
  const store::Partition partition = service::HubDirectory::MakeEntry(purged)->partition;
  EXPECT_EQ(*shards->LastSequence(partition), 0u);
  EXPECT_TRUE(store::DeksTable(*shards).List(partition, 1)->empty());
}

TEST_F(RestoreTest, OperationsOfTheServerArePagedByTheirBytes) {
  server_.reset();
  {
    const auto shards = OpenShards();
    ASSERT_NE(shards, nullptr);
    storage::v1::OperationRecord record;
    record.set_done(true);
    google::protobuf::Any result;
    result.set_value(std::string(300'000, 'x'));
    record.set_result(result.SerializeAsString());
    for (int i = 0; i < 20; ++i) {
      record.set_operation(absl::StrCat("o", 10 + i));
      store::WriteSet writes;
      store::OperationsTable::Put(writes, record.operation(), record);
      ASSERT_TRUE(
          service::ApplyBlocking(*shards, store::CatalogPartition(), std::move(writes)).ok());
    }
  }
  StartServer();
  google::longrunning::ListOperationsRequest request;
  request.set_name("server");
  google::longrunning::ListOperationsResponse page;
  int listed = 0, pages = 0;
  do {
    ASSERT_EQ(ReasonOf(google::longrunning::Operations::NewStub(channel_)->ListOperations(
                  As("operator").get(), request, &page)),
              "OK");
    EXPECT_LT(page.ByteSizeLong(), 3u << 20);
    listed += page.operations_size();
    ++pages;
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, 20);
  EXPECT_EQ(pages, 4);
}

}  // namespace
}  // namespace cmkstore
