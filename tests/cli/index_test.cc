// `index status` and `index rebuild` through the real cmkctl.

#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

class CliIndexTest : public ServedCli {
 protected:
  void SetUp() override {
    MakeHub();
    std::string sequence;
    for (int i = 0; i < 3; ++i) {
      const Output put = Ctl({"put", absl::StrCat("h1/p1/flows/f", i), "--json"}, "{\"word\": 1}");
      ASSERT_EQ(put.exit_code, 0) << put.err;
      sequence = put.Json()["sequence"];
    }
    ASSERT_EQ(Ctl({"search", "h1", "", "--min-sequence", sequence}).exit_code, 0);
  }
};

TEST_F(CliIndexTest, StatusShowsHowFarItIs) {
  const Output shown = Ctl({"index", "status", "h1"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("SERVING"), HasSubstr("documents  3")));
  const auto json = Ctl({"index", "status", "h1", "--json"}).Json();
  EXPECT_EQ(json["indexedSequence"], json["lastSequence"]);
  EXPECT_EQ(Ctl({"index", "status", "none"}).exit_code, 3);
  EXPECT_EQ(Ctl({"index", "status", "h1/p1"}).exit_code, 2) << "a hub has one, a project has none";
  ASSERT_EQ(Ctl({"key", "lock", "h1"}).exit_code, 0);
  EXPECT_THAT(Ctl({"index", "status", "h1"}).out,
              AllOf(HasSubstr("LOCKED"), Not(HasSubstr("documents"))));
  EXPECT_EQ(Ctl({"index", "rebuild", "h1"}).exit_code, 6);
}

TEST_F(CliIndexTest, ARebuildIsWaitedForOrFollowedByItsName) {
  const Output rebuilt = Ctl({"index", "rebuild", "h1"});
  EXPECT_EQ(rebuilt.exit_code, 0) << rebuilt.err;
  EXPECT_THAT(rebuilt.out, AllOf(HasSubstr("SERVING"), HasSubstr("documents  3")));
  EXPECT_THAT(*ReadFile(dir_.path() + "/log.jsonl"),
              AllOf(HasSubstr("index_rebuilt"), HasSubstr(kHub)));

  const Output started = Ctl({"index", "rebuild", "h1", "--no-wait", "--json"});
  ASSERT_EQ(started.exit_code, 0) << started.err;
  const std::string name = started.Json()["name"];
  const auto awaited = Ctl({"operations", "wait", name, "--json", "--timeout", "20s"}).Json();
  EXPECT_EQ(awaited["response"]["documentCount"], "3");
  EXPECT_THAT(Ctl({"operations", "list", "h1"}).out, HasSubstr("3 so far"));
  EXPECT_THAT(Ctl({"operations", "get", name}).out, HasSubstr("progress       3 so far"));
  EXPECT_EQ(Ctl({"index", "rebuild", "h1"}, "", "reader").exit_code, 4);
}

}  // namespace
}  // namespace cmkstore
