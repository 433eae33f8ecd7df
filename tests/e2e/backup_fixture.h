#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "service/backup/restore.h"
#include "tests/e2e/served_hub.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {

// A server with a backup directory, and others beside it on other data directories.
class BackupFixture : public ServedHub {
 protected:
  BackupFixture() {
    std::filesystem::create_directory(backups_);
    StartServer();  // now with what Adjust says
  }

  void Adjust(service::ServerOptions& options) override {
    options.data_dir = data_dir();
    options.shards.shards = shards_;
    options.backup = BackupSettings();
    options.operator_tenant = operator_tenant_;
  }
  service::BackupOptions BackupSettings() const {
    service::BackupOptions options;
    options.directory = backups_;
    options.keep = keep_;
    options.bytes_per_second = 0;
    return options;
  }
  std::string data_dir() const { return dir_.path() + "/" + data_; }
  // Goes on with another data directory.
  void StartOn(const std::string& data) {
    server_.reset();
    data_ = data;
    StartServer();
  }
  absl::StatusOr<service::StagedBackup> RestoreOffline(const std::string& data,
                                                       const std::string& backup) {
    return service::RestoreOffline(BackupSettings(), backup.substr(8),
                                   {dir_.path() + "/" + data, shards_}, clock_,
                                   {[] { return absl::OkStatus(); }, [](uint64_t, uint64_t) {}});
  }

  std::unique_ptr<v1::AdminService::Stub> admin() { return v1::AdminService::NewStub(channel_); }
  google::longrunning::Operation Await(const google::longrunning::Operation& started) {
    google::longrunning::Operation operation = started;
    const grpc::Status status = testing::AwaitOperation(
        channel_, [this] { return As("operator"); }, operation);
    EXPECT_EQ(ReasonOf(status), "OK");
    return operation;
  }
  template <typename Result>
  Result ResultOf(const google::longrunning::Operation& started) {
    const google::longrunning::Operation ended = Await(started);
    EXPECT_FALSE(ended.has_error()) << ended.error().message();
    Result result;
    EXPECT_TRUE(ended.response().UnpackTo(&result));
    return result;
  }
  google::longrunning::Operation StartBackup() {
    google::longrunning::Operation operation;
    EXPECT_EQ(ReasonOf(admin()->Backup(As("operator").get(), {}, &operation)), "OK");
    return operation;
  }
  v1::Backup TakeBackup() { return ResultOf<v1::Backup>(StartBackup()); }
  google::longrunning::Operation StartRestore(const std::string& backup,
                                              const std::string& reason = "OK") {
    v1::RestoreRequest request;
    request.set_name(backup);
    google::longrunning::Operation operation;
    const grpc::Status status = admin()->Restore(As("operator").get(), request, &operation);
    EXPECT_EQ(ReasonOf(status), reason) << status.error_message();
    last_message_ = status.error_message();
    return operation;
  }
  v1::VerifyIntegrityResult Verify(const std::string& backup = "") {
    v1::VerifyIntegrityRequest request;
    request.set_backup(backup);
    google::longrunning::Operation operation;
    EXPECT_EQ(ReasonOf(admin()->VerifyIntegrity(As("operator").get(), request, &operation)), "OK");
    return ResultOf<v1::VerifyIntegrityResult>(operation);
  }
  size_t CountOfFiles() const {
    size_t count = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(backups_ + "/files")) {
      count += file.is_regular_file() ? 1 : 0;
    }
    return count;
  }
  // The largest file of the backups; what a disk is most likely to damage.
  std::string LargestFile() const {
    std::string largest;
    uintmax_t size = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(backups_ + "/files")) {
      if (!file.is_regular_file() || file.file_size() <= size) continue;
      size = file.file_size();
      largest = file.path();
    }
    return largest;
  }
  static void FlipBit(const std::string& path) {
    std::string content = *ReadFile(path);
    content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 0x10);
    ASSERT_TRUE(WriteFileDurably(path, content));
  }

  const std::string backups_ = dir_.path() + "/backups";
  std::string data_ = "data";
  std::string operator_tenant_ = kTenant;
  uint32_t shards_ = 2;
  uint32_t keep_ = 14;
  std::string last_message_;
};

}  // namespace cmkstore
