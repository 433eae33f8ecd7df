// The real program is told to stop while a call waits for what never answers.

#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "tests/e2e/served_process.h"

namespace cmkstore {
namespace {

constexpr char kBackup[] = "20261125T134500.123456Z";

class StopTest : public ServedProcess {
 protected:
  StopTest() {
    credentials_ = dir_.path() + "/data/dev";
    std::filesystem::create_directories(dir_.path() + "/backups/backups");
    config_ = absl::StrCat(
        "data_dir: ", dir_.path(), "/data\nlisteners: [{address: '127.0.0.1:", port_,
        "'}]\nadmin: {address: 'off'}\ndevelopment: {enabled: true}\n",
        "backup: {directory: ", dir_.path(), "/backups}\nshutdown: {notice: 0s, drain: 1s}\n");
  }
  // A pipe for a manifest: reading it is like reading from a disk that hangs.
  std::string MakeSilentManifest() {
    const std::string path = absl::StrCat(dir_.path(), "/backups/backups/", kBackup, ".json");
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    return path;
  }
  // Until somebody reads it; then holds it open without a word.
  static int AwaitReader(const std::string& path) {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    int held = -1;
    while ((held = open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
      if (absl::Now() > give_up) return -1;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return held;
  }
};

TEST_F(StopTest, EndsThoughTheDiskDoesNotAnswer) {
  StartServer();
  const std::string manifest = MakeSilentManifest();
  std::thread caller([this] {
    v1::GetBackupRequest request;
    request.set_name(absl::StrCat("backups/", kBackup));
    v1::Backup backup;
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + *ReadFile(credentials_ + "/operator.token"));
    EXPECT_FALSE(v1::AdminService::NewStub(Connect(0))->GetBackup(&context, request, &backup).ok());
  });
  const int held = AwaitReader(manifest);
  EXPECT_GE(held, 0) << "nobody has asked for the backup";
  const absl::Time began = absl::Now();
  EXPECT_EQ(Terminate(), 1);
  EXPECT_LT(absl::Now() - began, absl::Seconds(20)) << "1 s of drain, and 10 s for the rest";
  EXPECT_THAT(ReadFile(dir_.path() + "/log").value_or(""), ::testing::HasSubstr("stop_given_up"));
  caller.join();
  close(held);
}

}  // namespace
}  // namespace cmkstore
