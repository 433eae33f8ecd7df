#include <gtest/gtest.h>

#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/snippet.h"
#include "cli/table.h"

namespace cmkstore::cli {
namespace {

TEST(PrintableTest, NothingThatDrivesATerminalPasses) {
  EXPECT_EQ(Printable("plain \xc3\xa9 \xe6\x97\xa5"), "plain \xc3\xa9 \xe6\x97\xa5");
  EXPECT_EQ(Printable("\033[31m\r\n\t\x7f"), "\\x1b[31m\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\x9b") << "CSI of C1";
  EXPECT_EQ(Printable("\xe2\x80\xae"), "\\u{202e}") << "right-to-left override";
  EXPECT_EQ(Printable("\xff\xc0\x9b\xed\xa0\x80"), "\\xff\\xc0\\x9b\\xed\\xa0\\x80");
  EXPECT_EQ(Printable(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(PrintableLines("a\n\tb\r"), "a\n\tb\\x0d");
}

std::string Printed(const std::function<void(FILE*)>& print) {
  char* text = nullptr;
  size_t size = 0;
  FILE* memory = open_memstream(&text, &size);
  print(memory);
  std::fclose(memory);
  std::string printed(text, size);
  std::free(text);
  return printed;
}

TEST(TableTest, ColumnsAreAsWideAsTheirContent) {
  EXPECT_EQ(Printed([](FILE* out) {
              Table table({"A", "LONGER", "C"}, out);
              table.Add({"wide cell", "x", "z"});
              table.Add({"", "", "last"});
            }),
            "A          LONGER  C\n"
            "wide cell  x       z\n"
            "                   last\n");
}

TEST(TableTest, CellsCannotBreakTheirRow) {
  EXPECT_EQ(Printed([](FILE* out) {
              Table({}, out).Add({"a\nb\033[2J", "c"});
            }),
            "a\\x0ab\\x1b[2J  c\n");
}

TEST(TableTest, AListWithoutEndIsPrintedInBlocks) {
  EXPECT_NE(Printed([](FILE* out) {
              Table table({}, out);
              for (size_t i = 0; i < Table::kBlock; ++i) table.Add({"row"});
              std::fprintf(out, "before the table's end\n");
              table.Add({"row"});
            }).find("row\nbefore the table's end\nrow\n"),
            std::string::npos);
}

TEST(SnippetTest, HighlightsAreSetOffAndHostileOnesDoNoHarm) {
  v1::SearchHit hit;
  hit.set_snippet("one two\nthree\033");
  v1::Highlight& word = *hit.add_highlights();
  word.set_begin(4);
  word.set_end(7);
  EXPECT_EQ(SnippetLine(hit, Emphasis::kTerminal), "one \033[1;33mtwo\033[0m three\\x1b");
  EXPECT_EQ(SnippetLine(hit, Emphasis::kNone), "one two three\\x1b");
  v1::Highlight& hostile = *hit.add_highlights();
  hostile.set_begin(4'000'000'000);
  hostile.set_end(2);
  EXPECT_EQ(SnippetLine(hit, Emphasis::kNone), "one two three\\x1b");
}

TEST(ProgressTest, ShowsPartRateAndTimeLeft) {
  EXPECT_EQ(ProgressLine(0.5, 1000, absl::Seconds(2)),
            "[###############               ]  50 %  1000 documents  500/s  2 s left");
  EXPECT_EQ(ProgressLine(1, 10, absl::Seconds(1)).substr(0, 38),
            "[##############################] 100 %");
}

}  // namespace
}  // namespace cmkstore::cli
