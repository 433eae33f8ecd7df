// What is on disk, and what a new process makes of it.

#include <sys/stat.h>

#include <filesystem>

#include "tests/dev_vault/dev_vault_fixture.h"

namespace cmkstore::dev_vault {
namespace {

using ::testing::HasSubstr;

class StateTest : public DevVaultTest {};

TEST_F(StateTest, ARestartKeepsKeysAttributesDeletionsPoliciesAndIdentities) {
  const std::string first = Create("k1", {{"tags", {{"a", "b"}}}});
  const std::string wrapped = Wrapped(first);
  Key("POST", "/keys/k1/rotate");
  Patch(first, {{"enabled", false}, {"exp", 2'000'000'000}});
  Create("k2");
  Key("DELETE", "/keys/k2");
  Admin("PUT", "identities/backend", {{"secret", "s"}});
  SetVault({{"access", {{"backend", {"get"}}}}, {"denial_code", "ForbiddenByRbac"}});
  Start();
  EXPECT_EQ(Operate(first + "/unwrapkey", wrapped).Inner(), "KeyDisabled");
  const Reply kept = Key("GET", first);
  EXPECT_EQ(kept.body["attributes"]["exp"], 2'000'000'000);
  EXPECT_EQ(kept.body["tags"]["a"], "b");
  Patch(first, {{"enabled", true}});
  EXPECT_EQ(Operate(first + "/unwrapkey", wrapped).body["value"], kDek);
  EXPECT_EQ(Key("GET", "/keys/k1/versions").body["value"].size(), 2u);
  EXPECT_EQ(Key("GET", "/deletedkeys/k2").status, 200);
  token_ = Token("https://vault.azure.net", "backend", "s");
  EXPECT_EQ(Key("GET", "/keys/k1").status, 200);
  EXPECT_EQ(Key("DELETE", "/keys/k1").Inner(), "ForbiddenByRbac");
}

TEST_F(StateTest, EveryFileWithASecretIsForItsOwnerOnly) {
  Create("k1");
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.state_dir)) {
    if (!entry.is_regular_file()) continue;
    struct stat found {};
    ASSERT_EQ(stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 8);
}

TEST_F(StateTest, AChangeIsOnDiskWhenItIsAnswered) {
  const std::string version = Create("k1");
  const std::string copy = dir_.path() + "/copy";
  // What a kill -9 at this moment would leave behind.
  std::filesystem::copy(options_.state_dir, copy, std::filesystem::copy_options::recursive);
  options_.state_dir = copy;
  Start();
  EXPECT_EQ(Key("GET", version).status, 200);
}

TEST_F(StateTest, AHalfWrittenFileOfACrashIsIgnoredAndADamagedOneRefused) {
  const std::string version = Create("k1");
  const std::string keys = options_.state_dir + "/vaults/localhost/keys.json";
  const std::string content = *ReadFile(keys);
  WriteFileDurably(keys + ".new", content.substr(0, 40));
  Start();
  EXPECT_EQ(Key("GET", version).status, 200);
  vault_.reset();
  WriteFileDurably(keys, content.substr(0, content.size() / 2));
  const auto refused = DevVault::Start(options_, clock_);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("keys.json"));
}

TEST_F(StateTest, TheReadyFileGoesWithTheProcess) {
  const std::string ready = options_.state_dir + "/ready.json";
  const json shown = json::parse(*ReadFile(ready));
  EXPECT_EQ(shown["url"], url_);
  vault_.reset();
  EXPECT_FALSE(ReadFile(ready).has_value());
}

TEST_F(StateTest, ASecondVaultOnTheSameStateIsRefusedAndTouchesNothing) {
  const std::string ready = options_.state_dir + "/ready.json";
  const std::string before = *ReadFile(ready);
  const auto refused = DevVault::Start(options_, clock_);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(
      std::string(refused.status().message()),
      ::testing::AllOf(HasSubstr("another cmkdevvault serves from"), HasSubstr("--state-dir")));
  EXPECT_EQ(ReadFile(ready), before);
  EXPECT_EQ(Key("GET", "/keys/none").status, 404) << "the first one serves on";
  vault_.reset();
  EXPECT_TRUE(DevVault::Start(options_, clock_).ok()) << "the lock goes with its holder";
}

TEST_F(StateTest, AnAddressThatOthersReachNeedsAWordForIt) {
  DevVaultOptions open = options_;
  open.state_dir = dir_.path() + "/open";
  open.address = "0.0.0.0";
  const auto refused = DevVault::Start(open, clock_);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--allow-non-loopback"));
  EXPECT_FALSE(std::filesystem::exists(open.state_dir)) << "and it has touched nothing";
  open.allow_non_loopback = true;
  EXPECT_TRUE(DevVault::Start(open, clock_).ok());
}

TEST_F(StateTest, ATakenPortIsSaidToBeTaken) {
  DevVaultOptions second = options_;
  second.state_dir = dir_.path() + "/second";
  second.port = std::stoi(url_.substr(url_.rfind(':') + 1));
  const auto refused = DevVault::Start(second, clock_);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("another program may have it"));
}

}  // namespace
}  // namespace cmkstore::dev_vault
