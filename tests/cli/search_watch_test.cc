// search and watch through the real cmkctl.

#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

class CliSearchTest : public ServedCli {
 protected:
  void SetUp() override { MakeHub(); }

  void Write(const std::string& id, const std::string& team, const std::string& content) {
    const Output put =
        Ctl({"put", "h1/p1/flows/" + id, "--label", "team=" + team, "--json"}, content);
    ASSERT_EQ(put.exit_code, 0) << put.err;
    sequence_ = put.Json()["sequence"];
  }
  Output Search(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"search", "h1"});
    arguments.insert(arguments.end(), {"--min-sequence", sequence_});
    return Ctl(arguments);
  }
  std::string sequence_;
};

TEST_F(CliSearchTest, FindsWithFilterFacetsAndOrder) {
  Write("f1", "retail", R"({"name": "nightly evaluation", "f1": 0.9})");
  Write("f2", "retail", R"({"name": "weekly evaluation", "f1": 0.7})");
  Write("f3", "claims", R"({"name": "monthly evaluation", "f1": 0.8})");
  const Output found = Search({"evaluation", "--facet", "labels.team", "--facet", "collection",
                               "--order-by", "content.f1 desc"});
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_THAT(found.out, AllOf(HasSubstr("labels.team  DOCUMENTS\nretail       2\nclaims       1"),
                               HasSubstr("collection  DOCUMENTS\nflows       3"),
                               HasSubstr("3 of 3 documents"), Not(HasSubstr("\033"))));
  EXPECT_LT(found.out.find("flows/f3"), found.out.find("flows/f2"));
  const auto filtered = Search({"", "--filter", "content.f1 > 0.85", "--json"}).Json();
  ASSERT_EQ(filtered["hits"].size(), 1u);
  EXPECT_THAT(filtered["hits"][0]["document"]["name"].get<std::string>(), HasSubstr("/f1"));
}

TEST_F(CliSearchTest, MatchedWordsAreSetOffOnATerminalOnly) {
  Write("f1", "retail", R"({"name": "nightly evaluation"})");
  ASSERT_EQ(Search({"nightly"}).exit_code, 0);
  EXPECT_THAT(CtlOnTerminal({"search", "h1", "nightly"}).out,
              HasSubstr("\033[1;33mnightly\033[0m"));
}

TEST_F(CliSearchTest, PagesFollowByTokenOrAll) {
  for (int i = 0; i < 5; ++i) Write(absl::StrCat("f", i), "retail", R"({"word": "common"})");
  const auto first = Search({"common", "--page-size", "2", "--json"}).Json();
  EXPECT_EQ(first["hits"].size(), 2u);
  const auto second = Search({"common", "--page-size", "2", "--json", "--page-token",
                              first["nextPageToken"].get<std::string>()})
                          .Json();
  EXPECT_EQ(second["hits"].size(), 2u);
  EXPECT_NE(first["hits"], second["hits"]);
  EXPECT_EQ(Search({"common", "--page-size", "2", "--all", "--json"}).JsonLines().size(), 3u);
  const Output shown = Search({"common", "--page-size", "2"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("2 of 5 documents"), HasSubstr("--page-token ")));
  EXPECT_THAT(Search({"common", "--page-size", "2", "--all"}).out, HasSubstr("5 of 5 documents"));
}

class CliLaggingIndexTest : public CliSearchTest {
 protected:
  void SetUp() override {
    StartServer();
    CliSearchTest::SetUp();
  }
  // The index gathers changes for as long as the test takes, unless a search waits for them.
  void Adjust(service::ServerOptions& options) override {
    options.follower.refresh = absl::Minutes(10);
  }
};

TEST_F(CliLaggingIndexTest, AnIndexThatIsBehindIsTold) {
  Write("f1", "retail", R"({"name": "nightly"})");
  EXPECT_THAT(Search({"nightly"}).out,
              AllOf(HasSubstr("1 of 1 documents"), Not(HasSubstr("behind"))));
  Write("f2", "retail", R"({"name": "nightly"})");
  EXPECT_THAT(Ctl({"search", "h1", "nightly"}).out,
              AllOf(HasSubstr("1 of about 1 documents"),
                    HasSubstr("the index is behind: what was written last may not be ")));
  EXPECT_THAT(Search({"nightly"}).out, HasSubstr("2 of 2 documents"));
}

TEST_F(CliLaggingIndexTest, WhatIsRequiredIsWaitedForAndMissedWithAnExitCode) {
  Write("f1", "retail", R"({"name": "nightly"})");
  ASSERT_EQ(Search({"nightly"}).exit_code, 0);
  Write("f2", "retail", R"({"name": "nightly"})");
  const Output found = Ctl({"search", "h1", "nightly", "--require", "2"});
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_THAT(found.out, HasSubstr("2 of 2 documents"));
  const Output missed = Ctl({"search", "h1", "nightly", "--require", "3"});
  EXPECT_EQ(missed.exit_code, 3);
  EXPECT_THAT(missed.err, HasSubstr("at least 3 documents are required, 2 are found"));
  EXPECT_EQ(Ctl({"search", "h1", "absent"}).exit_code, 0);
  EXPECT_EQ(
      Ctl({"search", "h1", "nightly", "--require", "2", "--page-size", "1", "--all"}).exit_code, 0);
  const std::string one = R"(collection = "flows" AND document = "f2")";  // as `helm test` asks
  EXPECT_EQ(Ctl({"search", "h1/p1", "nightly", "--filter", one, "--require", "1"}).exit_code, 0);
  EXPECT_EQ(Ctl({"search", "h1/p1", "nightly", "--filter", one, "--require", "2"}).exit_code, 3);
  const Output first = Ctl({"search", "h1", "nightly", "--require", "3", "--page-size", "1"});
  EXPECT_EQ(first.exit_code, 3);
  EXPECT_THAT(first.err, HasSubstr("at least 3 documents are required, 2 are found"));
  EXPECT_EQ(Ctl({"search", "h1", "nightly", "--require", "2", "--page-size", "1"}).exit_code, 0)
      << "both are found, one is shown";
  EXPECT_EQ(Ctl({"search", "h1", "nightly", "--require", "0"}).exit_code, 2);
  EXPECT_EQ(Ctl({"search", "h1/none", "x", "--require", "1"}).exit_code, 3);
}

TEST_F(CliSearchTest, RefusalsHaveTheirExitCodes) {
  sequence_ = "0";
  EXPECT_EQ(Search({"(open"}).exit_code, 9);
  EXPECT_EQ(Search({"", "--filter", "nonsense = 1"}).exit_code, 9);
  EXPECT_EQ(Search({"", "--page-size", "0"}).exit_code, 2);
  EXPECT_EQ(Ctl({"search", "h1/none", "x"}).exit_code, 3);
  ASSERT_EQ(Ctl({"key", "lock", "h1"}).exit_code, 0);
  EXPECT_EQ(Search({"x"}).exit_code, 6);
}

class CliWatchTest : public CliSearchTest {};

TEST_F(CliWatchTest, ShowsChangesInOrderAndResumesBySequence) {
  Write("f1", "retail", "{}");
  const std::string first = sequence_;
  Write("f2", "retail", "{}");
  const auto all = Ctl({"watch", "h1", "--count", "2", "--timeout", "20s", "--json"}).JsonLines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["kind"], "PUT");
  EXPECT_EQ(all[0]["sequence"], first);
  EXPECT_EQ(all[1]["sequence"], sequence_);
  ASSERT_EQ(Ctl({"rm", "h1/p1/flows/f1"}).exit_code, 0);
  const Output rest = Ctl({"watch", "h1/p1", "--after", first, "--count", "2", "--timeout", "20s"});
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_LT(rest.out.find("PUT      h1/p1/flows/f2"), rest.out.find("DELETED  h1/p1/flows/f1"));
  EXPECT_THAT(rest.out, HasSubstr("DELETED  h1/p1/flows/f1"));
}

TEST_F(CliWatchTest, ShowsADeletedProjectAndEndsWithIt) {
  Write("f1", "retail", "{}");
  ASSERT_EQ(Ctl({"project", "delete", "h1/p1", "--force"}).exit_code, 0);
  const Output hub = Ctl({"watch", "h1", "--after", sequence_, "--count", "1"});
  EXPECT_EQ(hub.exit_code, 0) << hub.err;
  EXPECT_THAT(hub.out, HasSubstr("PROJECT_DELETED  h1/p1\n"));
  const Output project = Ctl({"watch", "h1/p1", "--after", sequence_});
  EXPECT_EQ(project.exit_code, 3) << project.err;
  EXPECT_THAT(project.err, HasSubstr("PROJECT_NOT_FOUND"));
}

TEST_F(CliWatchTest, EndsInPeaceAtItsTimeoutAndWithTheReasonOfALock) {
  Write("f1", "retail", "{}");
  const Output quiet = Ctl({"watch", "h1", "--from-now", "--timeout", "200ms"});
  EXPECT_EQ(quiet.exit_code, 0) << quiet.err;
  EXPECT_EQ(quiet.out, "");
  EXPECT_EQ(Ctl({"watch", "h1", "--from-now", "--after", "1"}).exit_code, 2);
  EXPECT_EQ(Ctl({"watch", "none"}).exit_code, 3);
  ASSERT_EQ(Ctl({"key", "lock", "h1"}).exit_code, 0);
  EXPECT_EQ(Ctl({"watch", "h1", "--timeout", "20s"}).exit_code, 6);
}

}  // namespace
}  // namespace cmkstore
