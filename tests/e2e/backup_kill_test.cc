// The real server killed in the middle of backups: what is listed is whole, the operation goes on
// after the next start, and what was acknowledged is in the backup taken after it.

#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "tests/e2e/served_hub.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

constexpr int kDocuments = 60;
constexpr char kServed[] = "tenants/11111111-2222-4333-8444-555555555555/hubs/h1";

class BackupKillTest : public ::testing::Test {
 protected:
  BackupKillTest() {
    std::filesystem::create_directory(dir_.path() + "/backups");
    // Slow enough to be killed in the middle of copying and of reading back.
    WriteConfig("1MiB");
  }
  ~BackupKillTest() override {
    if (server_ > 0) Kill();
  }

  void WriteConfig(const std::string& bandwidth) {
    EXPECT_TRUE(
        WriteFileDurably(dir_.path() + "/config.yaml",
                         absl::StrCat("data_dir: ", dir_.path(), "/", data_,
                                      "\nlisteners: [{address: 'unix:", dir_.path(),
                                      "/socket'}]\nadmin: {address: 'off'}\nstore: {shards: 2}\n"
                                      "development: {enabled: true, plaintext: true}\n"
                                      "shutdown: {notice: 0s, drain: 5s}\nbackup: {directory: ",
                                      dir_.path(), "/backups, bandwidth: ", bandwidth, "}\n")));
  }
  // The exit code of a run that ends by itself.
  int RunToItsEnd(const std::vector<std::string>& arguments) {
    const pid_t child = Spawn(arguments);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  pid_t Spawn(const std::vector<std::string>& arguments) {
    const std::string config = dir_.path() + "/config.yaml", log = dir_.path() + "/log";
    std::vector<std::string> words = {CMKSTORED, "--config", config};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      dup2(out, 1);
      dup2(out, 2);
      execv(CMKSTORED, argv.data());
      _exit(127);
    }
    return child;
  }
  void StartServer() {
    const std::string ready = dir_.path() + "/ready";
    std::filesystem::remove(ready);
    server_ = Spawn({"--ready-file", ready});
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    while (!std::filesystem::exists(ready) && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    ASSERT_TRUE(std::filesystem::exists(ready)) << ReadFile(dir_.path() + "/log").value_or("");
    channel_ =
        grpc::CreateChannel("unix:" + dir_.path() + "/socket", grpc::InsecureChannelCredentials());
  }
  void Kill() {
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = 0;
  }
  std::unique_ptr<grpc::ClientContext> As(const std::string& role) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata(
        "authorization",
        "Bearer " + *ReadFile(absl::StrCat(dir_.path(), "/", data_, "/dev/", role, ".token")));
    context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(25)));
    context->set_wait_for_ready(true);
    return context;
  }
  void SetUpHub() {
    v1::CreateHubRequest hub;
    hub.set_parent("tenants/11111111-2222-4333-8444-555555555555");
    hub.set_hub_id("h1");
    hub.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub made;
    ASSERT_EQ(ReasonOf(v1::HubService::NewStub(channel_)->CreateHub(As("owner").get(), hub, &made)),
              "OK");
    v1::CreateProjectRequest project;
    project.set_parent(kServed);
    project.set_project_id("p1");
    v1::Project made_project;
    ASSERT_EQ(ReasonOf(v1::ProjectService::NewStub(channel_)->CreateProject(
                  As("owner").get(), project, &made_project)),
              "OK");
  }
  static std::string NameOf(int id) {
    return absl::StrCat(kServed, "/projects/p1/collections/c/documents/d", id);
  }
  static std::string ContentOf(int id) {
    return absl::StrCat("{\"id\":", id, ",\"fill\":\"", std::string(20'000, 'x'), "\"}");
  }
  void PutAll() {
    const auto documents = v1::DocumentService::NewStub(channel_);
    for (int id = 0; id < kDocuments; ++id) {
      v1::UpdateDocumentRequest put;
      put.mutable_document()->set_name(NameOf(id));
      put.mutable_document()->set_content(ContentOf(id));
      put.set_allow_missing(true);
      v1::Document stored;
      ASSERT_EQ(ReasonOf(documents->UpdateDocument(As("owner").get(), put, &stored)), "OK");
    }
  }
  void ExpectAll() {
    const auto documents = v1::DocumentService::NewStub(channel_);
    for (int id = 0; id < kDocuments; ++id) {
      v1::GetDocumentRequest get;
      get.set_name(NameOf(id));
      v1::Document found;
      ASSERT_EQ(ReasonOf(documents->GetDocument(As("owner").get(), get, &found)), "OK");
      ASSERT_EQ(found.content(), ContentOf(id));
    }
  }
  google::longrunning::Operation StartBackup() {
    google::longrunning::Operation operation;
    EXPECT_EQ(
        ReasonOf(v1::AdminService::NewStub(channel_)->Backup(As("operator").get(), {}, &operation)),
        "OK");
    return operation;
  }
  std::vector<std::string> Listed() {
    v1::ListBackupsResponse list;
    EXPECT_EQ(
        ReasonOf(v1::AdminService::NewStub(channel_)->ListBackups(As("operator").get(), {}, &list)),
        "OK");
    std::vector<std::string> names;
    for (const v1::Backup& one : list.backups()) names.push_back(one.name());
    return names;
  }
  google::longrunning::Operation Await(google::longrunning::Operation operation) {
    const grpc::Status status = testing::AwaitOperation(
        channel_, [this] { return As("operator"); }, operation);
    EXPECT_EQ(ReasonOf(status), "OK");
    return operation;
  }

  testing::TempDir dir_;
  std::string data_ = "data";
  std::shared_ptr<grpc::Channel> channel_;
  pid_t server_ = 0;
};

TEST_F(BackupKillTest, ABackupSurvivesKillsOfItsServerAndIsRestoredByTheProgram) {
  StartServer();
  SetUpHub();
  PutAll();
  const google::longrunning::Operation operation = StartBackup();
  // Some 1.2 MiB, hashed and read back at 1 MiB/s: each kill is somewhere in the middle.
  for (const int milliseconds : {50, 400, 900}) {
    absl::SleepFor(absl::Milliseconds(milliseconds));
    Kill();
    StartServer();
    const std::vector<std::string> listed = Listed();
    ASSERT_LE(listed.size(), 1u) << "only what is whole is listed";
  }
  Kill();
  WriteConfig("1GiB");
  StartServer();
  const google::longrunning::Operation ended = Await(operation);
  ASSERT_TRUE(ended.done() && !ended.has_error()) << ended.error().message();
  v1::Backup backup;
  ASSERT_TRUE(ended.response().UnpackTo(&backup));
  EXPECT_EQ(Listed(), std::vector<std::string>{backup.name()});
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/data/cut-backup"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/backups/files/next"));
  Kill();

  const std::string old_key = dir_.path() + "/data/platform.key";
  data_ = "restored";
  std::filesystem::create_directory(dir_.path() + "/restored");
  std::filesystem::copy_file(old_key, dir_.path() + "/restored/platform.key");
  WriteConfig("1MiB");
  // A restore that is killed leaves nothing that a server would serve.
  const pid_t killed = Spawn({"--restore", backup.name().substr(8)});
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (!std::filesystem::exists(dir_.path() + "/restored/restore-offline")) {
    ASSERT_LT(absl::Now(), give_up);
    absl::SleepFor(absl::Milliseconds(5));
  }
  kill(killed, SIGKILL);
  waitpid(killed, nullptr, 0);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/restored/shards"));
  WriteConfig("1GiB");
  EXPECT_EQ(RunToItsEnd({}), 1) << "it would serve an empty store";
  EXPECT_THAT(ReadFile(dir_.path() + "/log").value_or(""),
              ::testing::HasSubstr("a restore that was not finished"));
  EXPECT_EQ(RunToItsEnd({"--restore", backup.name().substr(8)}), 0)
      << ReadFile(dir_.path() + "/log").value_or("");
  EXPECT_EQ(RunToItsEnd({"--restore", backup.name().substr(8)}), 1) << "it has shards now";
  StartServer();
  ExpectAll();
}

}  // namespace
}  // namespace cmkstore
