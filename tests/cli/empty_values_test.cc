// What a script hands over for a variable that is not set, to the real programs. No server runs:
// all of it must be refused before anybody is asked.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "tests/cli/command_line.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore {
namespace {

using ::testing::HasSubstr;
using testing::Output;
using Words = std::vector<std::string>;

// `words` are refused as a wrong command line, because of the empty `name`.
void ExpectRefused(const char* program, const Words& words, const std::string& name) {
  testing::RunOptions options;
  options.program = program;
  const Output refused = testing::RunCmkctl(words, options);
  EXPECT_EQ(refused.exit_code, 2) << absl::StrJoin(words, " ") << "\n" << refused.err;
  EXPECT_THAT(refused.err, HasSubstr(name + ": must not be empty"));
}

TEST(EmptyValuesTest, CmkctlDoesNotTakeThemForNotGiven) {
  const std::vector<std::pair<Words, std::string>> cases = {
      {{"verify", "--backup", ""}, "--backup"},
      {{"rm", "h1/p1/c/d1", "--if-match", ""}, "--if-match"},
      {{"put", "h1/p1/c/d1", "-", "--if-match", ""}, "--if-match"},
      {{"hub", "delete", "h1", "--if-match", ""}, "--if-match"},
      {{"hub", "delete", "h1", "--retention", ""}, "--retention"},
      {{"hub", "update", "h1", "--allow-ip", ""}, "--allow-ip"},
      {{"usage", ""}, "HUB"},
      {{"usage", "h1", "--from", ""}, "--from"},
      {{"key", "check", ""}, "HUB"},
      {{"import", "h1", "-", "--project", ""}, "--project"},
      {{"export", "h1", "--output", ""}, "--output"},
      {{"search", "h1", "", "--filter", ""}, "--filter"},
      {{"--endpoint", "", "status"}, "--endpoint"},
      {{"status", "--profile", ""}, "--profile"},
  };
  for (const auto& [words, name] : cases) ExpectRefused("", words, name);
}

TEST(EmptyValuesTest, WhatMeansSomethingWhenEmptyIsTaken) {
  const Output cleared = testing::RunCmkctl({"hub", "update", "h1", "--display-name", ""}, {});
  EXPECT_THAT(cleared.err, HasSubstr("say which server")) << "it got as far as connecting";
  const Output all = testing::RunCmkctl({"search", "h1", "", "--page-token", ""}, {});
  EXPECT_THAT(all.err, HasSubstr("say which server"));
  testing::RunOptions unset;
  unset.environment = {"CMKSTORE_ENDPOINT="};
  EXPECT_THAT(testing::RunCmkctl({"status"}, unset).err, HasSubstr("say which server"));
}

TEST(EmptyValuesTest, TheServerAndTheLocalVaultRefuseThem) {
  const testing::TempDir dir;
  const Words development = {"--development", "--data-dir", dir.path()};
  for (const char* option : {"--openssl-properties", "--restore", "--ready-file", "--backup-dir",
                             "--vault-ca", "--listen", "--identity-client"}) {
    Words words = development;
    words.insert(words.end(), {option, ""});
    ExpectRefused(CMKSTORED, words, option);
  }
  ExpectRefused(CMKSTORED, {"--config", "", "--data-dir", dir.path()}, "--config");
  for (const char* option : {"--address", "--host", "--tenant", "--client"}) {
    ExpectRefused(CMKDEVVAULT, {"--state-dir", dir.path(), option, ""}, option);
  }
}

}  // namespace
}  // namespace cmkstore
