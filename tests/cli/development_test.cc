// The real cmkstored in development mode, over restarts and beside a second one, and what becomes
// of clients with what it minted for them.

#include <filesystem>

#include "tests/cli/command_line.h"
#include "tests/e2e/served_process.h"

namespace cmkstore {
namespace {

using ::testing::HasSubstr;
using testing::Output;

class DevelopmentTest : public ::testing::Test {
 protected:
  ~DevelopmentTest() override {
    for (const pid_t process : {watch_, server_}) {
      if (process > 0) kill(process, SIGKILL), waitpid(process, nullptr, 0);
    }
  }

  std::vector<std::string> ServerWords(int port) {
    return {"--data-dir", data_, "--development", "--listen",      absl::StrCat("127.0.0.1:", port),
            "--admin",    "off", "--ready-file",  data_ + ".ready"};
  }
  void StartServer() {
    std::filesystem::remove(data_ + ".ready");
    testing::RunOptions options;
    options.program = CMKSTORED;
    server_ = testing::StartCmkctl(ServerWords(port_), options, data_ + ".log");
    ASSERT_TRUE(Await([this] { return std::filesystem::exists(data_ + ".ready"); }))
        << ReadFile(data_ + ".log").value_or("");
  }
  void KillServer() {
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = 0;
  }
  template <typename Condition>
  static bool Await(Condition condition) {
    const absl::Time give_up = absl::Now() + absl::Minutes(2);
    while (!condition()) {
      if (absl::Now() > give_up) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }
  testing::RunOptions Caller(const std::string& credentials) {
    testing::RunOptions options;
    options.environment = {"HOME=" + dir_.path(),
                           absl::StrCat("CMKSTORE_ENDPOINT=localhost:", port_),
                           "CMKSTORE_CA=" + credentials + "/ca.pem",
                           "CMKSTORE_CERT=" + credentials + "/client.pem",
                           "CMKSTORE_KEY=" + credentials + "/client.key",
                           "CMKSTORE_TOKEN_FILE=" + credentials + "/owner.token"};
    return options;
  }
  Output Ctl(const std::vector<std::string>& words, const std::string& input = "") {
    testing::RunOptions options = Caller(data_ + "/dev");
    options.input = input;
    return testing::RunCmkctl(words, options);
  }
  // h1/p1 with d1, and what clients hold in a folder of their own.
  void SetUpHub() {
    ASSERT_EQ(Ctl({"hub", "create", "h1", "--platform-managed"}).exit_code, 0);
    ASSERT_EQ(Ctl({"project", "create", "h1/p1"}).exit_code, 0);
    ASSERT_EQ(Ctl({"put", "h1/p1/notes/d1"}, "{}").exit_code, 0);
    std::filesystem::copy(data_ + "/dev", held_);
  }
  void StartWatch() {
    watch_ = testing::StartCmkctl({"watch", "h1", "--json"}, Caller(held_), shown_);
    ASSERT_TRUE(AwaitShown("/documents/d1")) << Shown();
  }
  std::string Shown() { return ReadFile(shown_).value_or(""); }
  bool AwaitShown(const std::string& text) {
    return Await([&] { return Shown().find(text) != std::string::npos; });
  }

  testing::TempDir dir_;
  const std::string data_ = dir_.path() + "/data", held_ = dir_.path() + "/held",
                    shown_ = dir_.path() + "/shown";
  const int port_ = FreePort();
  pid_t server_ = 0, watch_ = 0;
};

TEST_F(DevelopmentTest, ARefusedSecondServerTakesNothingFromTheClientsOfTheFirst) {
  StartServer();
  const std::string token = *ReadFile(data_ + "/dev/owner.token");
  testing::RunOptions options;
  options.program = CMKSTORED;
  const Output refused = testing::RunCmkctl(ServerWords(FreePort()), options);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("another server in development serves from " + data_));
  EXPECT_EQ(ReadFile(data_ + "/dev/owner.token"), token);
  EXPECT_EQ(Ctl({"hub", "list"}).exit_code, 0);
}

TEST_F(DevelopmentTest, WhatItMakesIsItsOwnersAlone) {
  StartServer();
  for (const char* made : {"", "/dev", "/shards", "/indexes"}) {
    EXPECT_EQ(std::filesystem::status(data_ + made).permissions(),
              std::filesystem::perms::owner_all)
        << made;
  }
}

TEST_F(DevelopmentTest, ADataDirectoryThatCannotBeMadeIsSaidSo) {
  testing::RunOptions options;
  options.program = CMKSTORED;
  ASSERT_TRUE(WriteFileDurably(data_, "a file"));
  const Output file = testing::RunCmkctl(ServerWords(port_), options);
  EXPECT_EQ(file.exit_code, 1);
  EXPECT_EQ(file.err,
            "cmkstored: the directory " + data_ + " cannot be made: a file has that name\n");
  const Output proc = testing::RunCmkctl({"--data-dir", "/proc/x", "--development"}, options);
  EXPECT_EQ(proc.err,
            "cmkstored: the directory /proc/x cannot be made: No such file or directory\n");
}

TEST_F(DevelopmentTest, TooFewDescriptorsAreRefusedInOneSentence) {
  testing::RunOptions options;
  options.program = "/bin/sh";
  const auto start = [&](const char* limit) {
    return testing::RunCmkctl(
        {"-c", absl::StrCat("ulimit -n ", limit, "; exec " CMKSTORED " --data-dir ", data_,
                            " --development --listen unix:/proc/none --admin off")},
        options);
  };
  const Output few = start("40");
  EXPECT_EQ(few.exit_code, 1);
  EXPECT_THAT(few.err, HasSubstr("cmkstored: only 40 files may be open at once, and a server needs "
                                 "at least 256"));
  EXPECT_THAT(start("256").err, HasSubstr("cannot listen on unix:/proc/none"))
      << "enough to come so far";
}

TEST_F(DevelopmentTest, AServerStartedAgainTakesWhatItsClientsHold) {
  StartServer();
  SetUpHub();
  KillServer();
  StartServer();
  const Output list = testing::RunCmkctl({"hub", "list"}, Caller(held_));
  EXPECT_EQ(list.exit_code, 0) << list.err;
}

TEST_F(DevelopmentTest, AWatchGoesOnWithoutAGapAfterTheServerWasKilled) {
  StartServer();
  SetUpHub();
  StartWatch();
  KillServer();
  StartServer();
  ASSERT_EQ(Ctl({"put", "h1/p1/notes/d2"}, "{}").exit_code, 0);
  ASSERT_TRUE(AwaitShown("/documents/d2")) << Shown();
  EXPECT_THAT(Shown(), HasSubstr("the stream was cut ("));
  EXPECT_EQ(Shown().find("/documents/d1"), Shown().rfind("/documents/d1")) << "once each";
}

TEST_F(DevelopmentTest, AWatchWhoseTokenIsRefusedWhenItComesBackEndsWithTheReason) {
  StartServer();
  SetUpHub();
  StartWatch();
  KillServer();
  ASSERT_TRUE(WriteFileDurably(held_ + "/owner.token", "of.another.server"));
  StartServer();
  int state = 0;
  ASSERT_EQ(waitpid(watch_, &state, 0), watch_);
  watch_ = 0;
  EXPECT_EQ(WEXITSTATUS(state), 4) << Shown();
  EXPECT_THAT(Shown(), HasSubstr("TOKEN_INVALID"));
}

TEST_F(DevelopmentTest, AWatchThatFindsNoServerUntilItsTimeIsOverSaysSo) {
  StartServer();
  SetUpHub();
  watch_ =
      testing::StartCmkctl({"watch", "h1", "--json", "--timeout", "2s"}, Caller(held_), shown_);
  ASSERT_TRUE(AwaitShown("/documents/d1")) << Shown();
  KillServer();
  int state = 0;
  ASSERT_EQ(waitpid(watch_, &state, 0), watch_);
  watch_ = 0;
  EXPECT_EQ(WEXITSTATUS(state), 7) << Shown();
}

}  // namespace
}  // namespace cmkstore
