// Files that cannot be read or written, and command lines that say nothing sensible: refused with
// exit code 2 before anything is sent.

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/import_checkpoint.h"
#include "cli/line_reader.h"
#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

class CliFilesTest : public ServedCli {
 protected:
  CliFilesTest() { std::filesystem::create_directories(directory_); }

  Output With(const std::string& flag, const std::string& file) {
    return Ctl({flag, file, "hub", "list"});
  }
  const std::string directory_ = dir_.path() + "/directory";
};

TEST_F(CliFilesTest, ADirectoryIsNoDocument) {
  MakeHub();
  const Output put = Ctl({"put", "h1/p1/notes/n1", directory_});
  EXPECT_EQ(put.exit_code, 2);
  EXPECT_THAT(put.err, HasSubstr("cannot read " + directory_));
  testing::RunOptions options;
  options.environment = Environment("owner");
  options.input_file = directory_;
  EXPECT_EQ(testing::RunCmkctl({"put", "h1/p1/notes/n1"}, options).exit_code, 2);
  EXPECT_EQ(Ctl({"get", "h1/p1/notes/n1"}).exit_code, 3) << "nothing was stored";
  const std::string empty = WriteInput("empty", "");
  EXPECT_EQ(Ctl({"put", "h1/p1/notes/n1", empty, "--content-type", "text/plain"}).exit_code, 0)
      << "an empty file is one that can be read";
}

TEST_F(CliFilesTest, AnImportOfWhatCannotBeReadLeavesNothing) {
  MakeHub();
  for (const std::string& file : {directory_, std::string("/proc/self/mem")}) {
    const Output import = Ctl({"import", "h1", file, "--project", "p1"});
    EXPECT_EQ(import.exit_code, 2) << import.err;
    EXPECT_THAT(import.err, HasSubstr("cannot read " + file));
    EXPECT_FALSE(std::filesystem::exists(cli::CheckpointPath(file)));
  }
  testing::RunOptions options;
  options.environment = Environment("owner");
  options.input_file = directory_;
  const Output piped = testing::RunCmkctl({"import", "h1", "-", "--project", "p1"}, options);
  EXPECT_EQ(piped.exit_code, 2) << piped.out;
  EXPECT_EQ(Ctl({"ls", "h1", "--json"}).out, "");
}

TEST_F(CliFilesTest, AReadThatFailsIsNotTheEndOfTheFile) {
  std::ifstream input(directory_);  // opens, and fails at its first byte
  cli::LineReader reader(input);
  std::string line;
  EXPECT_EQ(reader.Next(line), cli::LineReader::Result::kFailed);
  EXPECT_FALSE(reader.GoTo({.offset = 1, .line = 1, .digest = 0}));
}

TEST_F(CliFilesTest, AFileIsNotWrittenOverADirectoryAndNothingIsLeftBesideIt) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/notes/n1"}, "{}").exit_code, 0);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"get", "h1/p1/notes/n1", "--output"},
        {"export", "h1", "--output"},
        {"coverage", "h1", "--html"}}) {
    std::vector<std::string> words = command;
    words.push_back(directory_);
    const Output refused = Ctl(words);
    EXPECT_EQ(refused.exit_code, 2) << command[0];
    EXPECT_THAT(refused.err, HasSubstr("cannot write " + directory_));
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      EXPECT_THAT(entry.path().string(), Not(HasSubstr("directory.")));
    }
  }
}

TEST_F(CliFilesTest, TokenCertificatesAndPricesMustBeWhatTheyAreCalled) {
  const std::string noise = WriteInput("noise", "\x01\x02 no such thing\n");
  const std::string empty = WriteInput("empty", "");
  for (const std::string& file : {directory_, noise, empty}) {
    const Output token = With("--token-file", file);
    EXPECT_EQ(token.exit_code, 2) << file;
    EXPECT_THAT(token.err, HasSubstr("(--token-file)"));
    // One sentence, and none of gRPC's log lines.
    const Output ca = With("--ca", file);
    EXPECT_EQ(ca.exit_code, 2) << file;
    EXPECT_THAT(ca.err, AllOf(HasSubstr("(--ca)"), HasSubstr(file)));
    EXPECT_EQ(std::count(ca.err.begin(), ca.err.end(), '\n'), 1) << ca.err;
  }
  const std::string cut = WriteInput("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
  EXPECT_THAT(With("--ca", cut).err, HasSubstr("holds no PEM block of a CERTIFICATE"));
  const std::string ca = credentials_ + "/ca.pem";
  const Output swapped = Ctl({"--ca", ca, "--cert", ca, "--key", ca, "hub", "list"});
  EXPECT_EQ(swapped.exit_code, 2);
  EXPECT_THAT(swapped.err, HasSubstr("(--key) holds no PEM block of a PRIVATE KEY"));
  EXPECT_EQ(Ctl({"usage", "estimate", "--documents", "1", "--bytes", "1", "--prices", directory_})
                .exit_code,
            2);
  EXPECT_EQ(Ctl({"key", "forecast", "--price-file", directory_}).exit_code, 2);
  EXPECT_EQ(Ctl({"--config", directory_, "hub", "list"}).exit_code, 2);
}

TEST_F(CliFilesTest, AKeyOfAnotherCertificateAndOnesThatCannotBeReadAreNamed) {
  const auto tls = [&](const std::string& ca, const std::string& cert, const std::string& key) {
    return Ctl({"--ca", ca, "--cert", cert, "--key", key, "hub", "list"});
  };
  const std::string ca = credentials_ + "/ca.pem", cert = credentials_ + "/client.pem",
                    key = credentials_ + "/client.key", other = credentials_ + "/server.key";
  const Output mixed = tls(ca, cert, other);
  EXPECT_EQ(mixed.exit_code, 2) << mixed.err;
  EXPECT_EQ(mixed.err, absl::StrCat("cmkctl: ", cert, " (--cert) and ", other,
                                    " (--key) cannot be used: the key is not that of the "
                                    "certificate\n"));
  // DER by its first byte, and no more.
  const auto block = [&](const std::string& label) {
    return WriteInput(
        label, absl::StrCat("-----BEGIN ", label, "-----\nMAMCAQE=\n-----END ", label, "-----\n"));
  };
  EXPECT_THAT(tls(block("CERTIFICATE"), cert, key).err,
              HasSubstr("CERTIFICATE (--ca): a certificate cannot be read"));
  EXPECT_THAT(tls(ca, block("CERTIFICATE"), key).err,
              HasSubstr("the certificate: a certificate cannot be read"));
  EXPECT_THAT(tls(ca, cert, block("PRIVATE KEY")).err, HasSubstr("no unencrypted PEM key in it"));
  EXPECT_EQ(tls(ca, cert, key).exit_code, 7) << "the server here takes no TLS";
}

TEST_F(CliFilesTest, ATokenFileOfAnotherKindIsNamedWhereTheTenantIsMissing) {
  const std::string garbage = WriteInput("garbage", "no-token\n");
  const Output refused = Ctl({"--token-file", garbage, "hub", "list"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr(garbage + " (--token-file) holds no token that can be read"));
  const Output sent = Ctl({"--token-file", garbage, "--tenant", kTenant, "hub", "list"});
  EXPECT_EQ(sent.exit_code, 4) << "the server's to refuse";
}

TEST_F(CliFilesTest, WhatStandardOutputDoesNotTakeIsToldByEveryCommand) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/notes/n1"}, "{}").exit_code, 0);
  testing::RunOptions options;
  options.environment = Environment("owner");
  options.output_file = "/dev/full";
  for (const std::vector<std::string>& command : {std::vector<std::string>{"hub", "list"},
                                                  {"hub", "get", "h1"},
                                                  {"ls", "h1"},
                                                  {"get", "h1/p1/notes/n1"},
                                                  {"export", "h1"},
                                                  {"search", "h1", ""},
                                                  {"key", "status", "h1"},
                                                  {"watch", "h1", "--after", "0"},
                                                  {"status"},
                                                  {"completion", "bash"},
                                                  {"--help"}}) {
    const Output lost = testing::RunCmkctl(command, options);
    EXPECT_EQ(lost.exit_code, 2) << command[0];
    EXPECT_EQ(lost.err, "cmkctl: cannot write to standard output: No space left on device\n")
        << command[0];
    std::vector<std::string> json = command;
    json.push_back("--json");
    if (command[0][0] == '-') continue;
    const Output told = testing::RunCmkctl(json, options);
    EXPECT_EQ(told.exit_code, 2) << command[0];
    EXPECT_THAT(told.err, HasSubstr(R"("message":"cannot write to standard output: No space)"));
  }
  EXPECT_EQ(testing::RunCmkctl({"rm", "h1/p1/notes/n1"}, options).exit_code, 0)
      << "it prints nothing";
}

TEST_F(CliFilesTest, AServerThatIsNoTlsServerIsOneSentenceWithoutGrpcsLog) {
  const Output refused = With("--ca", credentials_ + "/ca.pem");
  EXPECT_EQ(refused.exit_code, 7);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("cmkctl: "), HasSubstr("is the server running"),
                                 Not(HasSubstr(".cc:"))));
}

TEST_F(CliFilesTest, AWordThatIsNoCommandIsNamed) {
  const Output top = Ctl({"bogus"});
  EXPECT_EQ(top.exit_code, 2);
  EXPECT_THAT(top.err, AllOf(HasSubstr("\"bogus\" is no command of cmkctl; there are: hub, "),
                             HasSubstr("--help")));
  const Output below = Ctl({"hub", "bogus", "h1"});
  EXPECT_EQ(below.exit_code, 2);
  EXPECT_THAT(below.err, HasSubstr("\"bogus\" is no command of cmkctl hub; there are: create, "));
  EXPECT_THAT(Ctl({"key"}).err, HasSubstr("say which: cmkctl key status, "));
  EXPECT_THAT(Ctl({"hub", "--bogus"}).err, HasSubstr("\"--bogus\" is no option of cmkctl hub\n"));
}

TEST_F(CliFilesTest, WhatIsWrongWithACommandLineIsOneSentenceOfOurs) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"hub", "get"}, "cmkctl hub get needs HUB"},
      {{"hub", "list", "--bogus"}, "\"--bogus\" is no option of cmkctl hub list"},
      {{"hub", "list", "--bogus", "5"}, "\"--bogus\" is no option of cmkctl hub list"},
      {{"search", "h1", "two", "words"},
       "\"words\" is one word too many for cmkctl search; quote words that belong together"},
      {{"watch", "h1", "--count"}, "--count needs a value"},
      {{"watch", "h1", "--count", "-1"}, "--count: must be a whole number from 1 on, not \"-1\""},
      {{"watch", "h1", "--count", "x"}, "--count: must be a whole number from 1 on, not \"x\""},
      {{"watch", "h1", "--after", "-2"}, "--after: must be a whole number from 0 on, not \"-2\""},
      {{"search", "h1", "--min-sequence", "-1"},
       "--min-sequence: must be a whole number from 0 on, not \"-1\""},
      {{"search", "h1", "--page-size", "2000"},
       "--page-size: must be a whole number 1 to 1000, not \"2000\""},
      {{"key", "forecast", "--price", "-0.5"},
       "--price: must be a number from 0 to 1e18, not \"-0.5\""},
      {{"key", "forecast", "--price", "nan"},
       "--price: must be a number from 0 to 1e18, not \"nan\""},
      {{"usage", "estimate", "--documents", "-1", "--bytes", "1", "--prices", "p"},
       "--documents: must be a number from 0 to 1e18, not \"-1\""},
      {{"usage", "estimate", "--bytes", "1", "--prices", "p"},
       "cmkctl usage estimate needs --documents"},
      {{"hub", "create", "h1", "--platform-managed", "--vault-key", "k"},
       "--vault-key and --platform-managed exclude each other; give one of them"},
  };
  for (const auto& [words, sentence] : cases) {
    const Output refused = Ctl(words);
    EXPECT_EQ(refused.exit_code, 2) << sentence;
    EXPECT_EQ(refused.err.substr(0, refused.err.find('\n')), absl::StrCat("cmkctl: ", sentence));
  }
}

TEST_F(CliFilesTest, WhatIsWrongWithACommandLineIsJsonForPrograms) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--json", "bogus"},
                                                {"hub", "bogus", "--json"},
                                                {"hub", "get", "--json"},
                                                {"watch", "h1", "--count", "-1", "--json"}}) {
    const Output refused = Ctl(words);
    EXPECT_EQ(refused.exit_code, 2);
    const auto error = nlohmann::json::parse(refused.err, nullptr, false);
    ASSERT_TRUE(error.is_object()) << refused.err;
    EXPECT_EQ(error["error"]["reason"], "USAGE");
    EXPECT_EQ(error["error"]["exit_code"], 2);
    EXPECT_NE(error["error"]["message"], "");
  }
}

TEST_F(CliFilesTest, NumbersThatCountAreNotNegative) {
  for (const char* count : {"-1", "0", "x"}) {
    EXPECT_EQ(Ctl({"watch", "h1", "--count", count}).exit_code, 2) << count;
  }
  EXPECT_EQ(Ctl({"watch", "h1", "--after", "-1"}).exit_code, 2);
  EXPECT_EQ(Ctl({"search", "h1", "x", "--min-sequence", "-1"}).exit_code, 2);
}

TEST_F(CliFilesTest, TheServerSaysItsVersionAsTheClientDoes) {
  const std::string client = testing::RunCmkctl({"--version"}, testing::RunOptions()).out;
  testing::RunOptions options;
  options.program = CMKSTORED;
  const std::string server = testing::RunCmkctl({"--version"}, options).out;
  EXPECT_EQ(server.substr(0, 10), "cmkstored ");
  EXPECT_EQ(server.substr(10), client.substr(7));
}

TEST_F(CliFilesTest, TheOtherProgramsEndWithTheSameExitCode) {
  for (const char* program : {CMKSTORED, CMKDEVVAULT}) {
    testing::RunOptions options;
    options.program = program;
    EXPECT_EQ(testing::RunCmkctl({}, options).exit_code, 2) << program;
    // With what is required, so that this is what is wrong.
    const Output refused = testing::RunCmkctl(
        {"--bogus", "--state-dir", "/nowhere", "--data-dir", "/nowhere"}, options);
    EXPECT_EQ(refused.exit_code, 2) << program;
    EXPECT_THAT(refused.err, HasSubstr("--bogus"));
    EXPECT_EQ(testing::RunCmkctl({"--help"}, options).exit_code, 0);
  }
}

}  // namespace
}  // namespace cmkstore
