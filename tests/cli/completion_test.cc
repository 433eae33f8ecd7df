#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "tests/cli/command_line.h"

namespace cmkstore::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> WordsFor(const std::vector<std::string>& typed) {
  Invocation invocation;
  const auto app = MakeApp(invocation);
  std::vector<std::string> words;
  for (const Candidate& one : Complete(*app, typed)) words.push_back(one.word);
  return words;
}

TEST(CompletionTest, CommandsComeFromTheGrammar) {
  EXPECT_THAT(WordsFor({"hub", "un"}), ElementsAre("undelete"));
  EXPECT_THAT(WordsFor({"operations", ""}), ElementsAre("list", "get", "wait", "cancel"));
  EXPECT_THAT(WordsFor({"--json", "key", "r"}), ElementsAre("rotate"));
}

TEST(CompletionTest, OptionsAreThoseOfTheCommandAndTheGlobalOnes) {
  EXPECT_THAT(WordsFor({"search", "h1", "--fa"}), ElementsAre("--facet"));
  EXPECT_THAT(WordsFor({"search", "h1", "--"}), Contains("--endpoint"));
  EXPECT_THAT(WordsFor({"search", "h1", "--"}), Not(Contains("--version")));
}

TEST(CompletionTest, ValuesAreLeftToTheShell) {
  EXPECT_THAT(WordsFor({"--endpoint", ""}), IsEmpty());
  EXPECT_THAT(WordsFor({"get", "h1/p1/flows/f1", ""}), IsEmpty());
  EXPECT_THAT(WordsFor({"--endpoint", "hub", "key", "lo"}), ElementsAre("lock"));
  EXPECT_THAT(WordsFor({}), IsEmpty());
}

TEST(CompletionTest, EachShellHasAScriptThatAsksTheProgram) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = testing::RunCmkctl({"completion", shell}, {});
    EXPECT_EQ(script.exit_code, 0);
    EXPECT_THAT(script.out, HasSubstr("cmkctl __complete"));
  }
  EXPECT_EQ(testing::RunCmkctl({"completion", "tcsh"}, {}).exit_code, 2);
  EXPECT_THAT(testing::RunCmkctl({"__complete", "hub", "cr"}, {}).out, HasSubstr("create\t"));
}

TEST(HelpTest, EveryCommandTeachesByExample) {
  Invocation invocation;
  const auto app = MakeApp(invocation);
  std::vector<const CLI::App*> left = {app.get()};
  int seen = 0;
  while (!left.empty()) {
    const CLI::App* one = left.back();
    left.pop_back();
    const auto below = one->get_subcommands({});
    left.insert(left.end(), below.begin(), below.end());
    if (one == app.get()) continue;
    // Without a footer of its own a command has that of its group.
    std::string words = one->get_name();
    for (const CLI::App* above = one->get_parent(); above != nullptr; above = above->get_parent()) {
      words = above->get_name() + " " + words;
    }
    EXPECT_THAT(one->get_footer(), HasSubstr(words));
    seen += below.empty();
  }
  EXPECT_GE(seen, 29) << "the whole grammar";
}

}  // namespace
}  // namespace cmkstore::cli
