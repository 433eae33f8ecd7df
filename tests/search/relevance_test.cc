// What the ranking keeps from one search to the next.

#include "search/relevance.h"

#include "absl/strings/str_cat.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {
namespace {

using ::testing::ElementsAre;

class RelevanceTest : public IndexTest {
 protected:
  // A document with the word once, among so many others.
  static IndexChange Among(const std::string& id, int others) {
    std::string text = "needle";
    for (int i = 0; i < others; ++i) absl::StrAppend(&text, " hay", i);
    return Put(id, absl::StrCat("{\"text\": \"", text, "\"}"));
  }
};

TEST_F(RelevanceTest, ALengthIsThatOfTheRowThatHasTheNumberNow) {
  ASSERT_THAT(index().Apply({Among("middle", 100), Among("last", 1000)}, 1), IsOk());
  EXPECT_THAT(Ids(Find("needle")), ElementsAre("middle", "last")) << "the shorter comes first";
  ASSERT_THAT(index().Apply({Removed("last")}, 2), IsOk());
  ASSERT_THAT(index().Apply({Among("new", 1)}, 3), IsOk());  // takes the number of the removed one
  EXPECT_THAT(Ids(Find("needle")), ElementsAre("new", "middle"));
}

TEST(RowLengthsTest, KeepsTheLastOfThoseThatShareAPlace) {
  RowLengths lengths;
  EXPECT_EQ(lengths.Find(1), std::nullopt);
  lengths.Forget(1);
  lengths.Keep(1, 10);
  lengths.Keep(2, 20);
  EXPECT_EQ(lengths.Find(1), 10);
  EXPECT_EQ(lengths.Find(2), 20);
  const int64_t same_place = 1 + (int64_t{1} << 40);
  EXPECT_EQ(lengths.Find(same_place), std::nullopt);
  lengths.Keep(same_place, 30);
  EXPECT_EQ(lengths.Find(same_place), 30);
  EXPECT_EQ(lengths.Find(1), std::nullopt);
  lengths.Forget(1);
  EXPECT_EQ(lengths.Find(same_place), 30);
  lengths.Forget(same_place);
  EXPECT_EQ(lengths.Find(same_place), std::nullopt);
}

}  // namespace
}  // namespace cmkstore::search
