// What one search may cost: it can be ended at any of its rows, and takes bounded memory.

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "search/searchable_text.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class SearchBoundsTest : public IndexTest {
 protected:
  ~SearchBoundsTest() override { LimitSqliteMemory(0); }

  void Fill(int documents, const std::string& content) {
    std::vector<IndexChange> changes;
    for (int i = 0; i < documents; ++i) changes.push_back(Put(absl::StrCat("d", i), content));
    ASSERT_THAT(index().Apply(changes, 1), IsOk());
  }
  // How often a search asks whether it is to go on.
  int Asked(SearchQuery query) {
    int asked = 0;
    query.given_up = [&asked] {
      ++asked;
      return false;
    };
    Find(query);
    return asked;
  }
};

TEST_F(SearchBoundsTest, AStarStandsForAnyBeginOrEndAndNothingElseDoes) {
  ASSERT_THAT(index().Apply({Put("plain", R"({"x": "Über abc"})"), Put("lower", R"({"x": "über"})"),
                             Put("marks", R"({"x": "a[b]*?c"})"), Put("list", R"({"x": ["abc"]})"),
                             Put("none", "{}", {{"team", "red"}})},
                            1),
              IsOk());
  const auto ids = [&](const std::string& filter) { return Ids(Find("", filter)); };
  EXPECT_THAT(ids("content.x = \"Über*\""), ElementsAre("plain")) << "case counts";
  EXPECT_THAT(ids("content.x = *abc"), ElementsAre("plain"));
  EXPECT_THAT(ids("content.x = \"*r a*\""), ElementsAre("plain"));
  EXPECT_THAT(ids("content.x = \"*ber*\""), UnorderedElementsAre("plain", "lower"));
  EXPECT_THAT(ids("content.x = \"Über abc and more*\""), ElementsAre());
  EXPECT_THAT(ids("content.x = \"*and more Über abc\""), ElementsAre());
  EXPECT_THAT(ids("content.x = **"), UnorderedElementsAre("plain", "lower", "marks"));
  EXPECT_THAT(ids("content.x = \"a[b]*\""), ElementsAre("marks"));
  EXPECT_THAT(ids("content.x = \"*]*?*\""), ElementsAre("marks")) << "a star inside is itself";
  EXPECT_THAT(ids("content.x = \"*?b*\""), ElementsAre());
  EXPECT_THAT(ids("content.x != *abc"), UnorderedElementsAre("lower", "marks"));
  EXPECT_THAT(ids("NOT content.x = *abc"), UnorderedElementsAre("lower", "marks", "list", "none"));
  EXPECT_THAT(ids("content.x != *b* -content.x = *c"), ElementsAre());
  EXPECT_THAT(ids("labels.team = *ed AND document != d*"), ElementsAre("none"));
}

TEST_F(SearchBoundsTest, ASearchAsksWhetherItIsToEndAfterAFewRowsAndBeforeEachPassage) {
  Fill(100, absl::StrCat(R"({"x": ")", std::string(1000, 'a'), R"(", "y": "common"})"));
  SearchQuery query;
  query.filter = absl::StrCat("content.x = \"*", std::string(500, 'a'), "b*\"");
  EXPECT_GE(Asked(query), 10);
  SearchQuery passages;
  passages.text = "common";
  passages.limit = 100;
  EXPECT_GE(Asked(passages), 100);
}

TEST_F(SearchBoundsTest, ATextOfNothingButTheWordIsFoundWithoutAPassage) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "q ";
  ASSERT_THAT(index().Apply({Put("many", absl::StrCat(R"({"x": ")", text, "\"}")),
                             Put("few", absl::StrCat(R"({"x": ")", text.substr(0, 2000), "\"}"))},
                            1),
              IsOk());
  const SearchResult found = Find("q");
  ASSERT_THAT(Ids(found), UnorderedElementsAre("few", "many"));
  for (const SearchHit& hit : found.hits) EXPECT_EQ(hit.snippet.empty(), hit.document == "many");
}

TEST_F(SearchBoundsTest, ManyWordsThatALongTextIsFullOfTakeLittleMemory) {
  std::string text, words;
  for (int i = 0; i < 100'000; ++i) text += "q ";
  for (int i = 0; i < 64; ++i) words += "q ";
  ASSERT_THAT(index().Apply({Put("many", absl::StrCat(R"({"x": ")", text, "\"}"))}, 1), IsOk());
  LimitSqliteMemory(48 << 20);
  EXPECT_THAT(Ids(Find(words)), ElementsAre("many"));
}

TEST_F(SearchBoundsTest, WordsOfPhrasesCountAmongThoseOfTheQuery) {
  std::string words = "q";
  for (int i = 1; i < 64; ++i) words += "-q";
  SearchQuery query;
  for (const char* quote : {"", "\""}) {
    query.text = absl::StrCat(quote, words, quote);
    EXPECT_THAT(index().Search(query), IsOk());
    query.text = absl::StrCat(quote, words, "-q", quote);
    EXPECT_THAT(index().Search(query), FailsWith("FIELD_INVALID", "64 words"));
  }
}

TEST_F(SearchBoundsTest, AnEndAtWhateverStepIsToldAsOne) {
  Fill(50, R"({"x": 1, "y": "common words of all"})");
  SearchQuery query;
  query.text = "common OR w* \"of all\"";
  query.filter = "content.x = 1 labels.team != red";
  query.facets = {"collection"};
  for (const char* order : {"", "content.y, document"}) {
    query.order_by = order;
    int ended = 0;
    for (options_.steps_per_search = 100;; options_.steps_per_search += 300) {
      index_.reset();
      const auto found = index().Search(query);
      if (found.ok()) break;
      ASSERT_THAT(found, FailsWith("QUOTA_EXCEEDED", "narrow")) << options_.steps_per_search;
      ++ended;
    }
    EXPECT_GT(ended, 3);
  }
}

TEST_F(SearchBoundsTest, OfATextThatOrdersTheBeginCounts) {
  const auto text = [](const std::string& begin, const std::string& end) {
    return absl::StrCat(R"({"x": ")", begin, std::string(5000, 'm'), end, "\"}");
  };
  ASSERT_THAT(index().Apply({Put("same-a", text("", "a")), Put("same-z", text("", "z")),
                             Put("first", text("b", "")), Put("number", R"({"x": 10})"),
                             Put("less", R"({"x": 9})"), Put("list", R"({"x": [1]})")},
                            1),
              IsOk());
  SearchQuery query;
  query.order_by = "content.x";
  EXPECT_THAT(Ids(Find(query)), ElementsAre("less", "number", "list", "first", "same-z", "same-a"));
}

TEST_F(SearchBoundsTest, ADirectionInCapitalsIsToldHowItIsWritten) {
  SearchQuery query;
  for (const char* order : {"document DESC", "document Asc"}) {
    query.order_by = order;
    EXPECT_THAT(index().Search(query),
                FailsWith("FIELD_INVALID", "with `asc` or `desc`, in lower case"));
  }
}

TEST_F(SearchBoundsTest, OfAKeyThatStandsTwiceTheLastCounts) {
  const std::string escaped = R"({"\u0078": {"st": "dev", "note": "a: \"b", "st": "prod"}})";
  ASSERT_THAT(index().Apply({Put("plain", R"({"x": {"st": "dev", "note": "a: {", "st": "prod"}})"),
                             Put("escaped", escaped)},
                            1),
              IsOk());
  for (const char* last : {"prod", "dev"}) {
    const size_t count = last == std::string("prod") ? 2 : 0;
    EXPECT_EQ(Find(last).total, count) << last;
    EXPECT_EQ(Find("", absl::StrCat("content.x.st = ", last)).total, count) << last;
  }
}

TEST_F(SearchBoundsTest, WhatHasNoMemoryIsRefusedAloneAndMayComeAgain) {
  Fill(3, R"({"x": "common"})");
  const IndexChange large =
      Put("large", absl::StrCat(R"({"x": ")", std::string(1 << 20, 'a'), "\"}"));
  SearchQuery query;
  query.text = "common";
  LimitSqliteMemory(1);
  EXPECT_THAT(index().Search(query), FailsWith("STORE_BUSY", ""));
  EXPECT_THAT(index().Apply({large, Removed("d0")}, 2), FailsWith("STORE_BUSY", ""));
  LimitSqliteMemory(0);
  EXPECT_EQ(Find(query).total, 3u);
  EXPECT_EQ(index().indexed_sequence(), 1u);
  ASSERT_THAT(index().Apply({large, Removed("d0")}, 2), IsOk());
  EXPECT_EQ(Find(query).total, 2u);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
}

TEST_F(SearchBoundsTest, TheTextOfJsonIsItsPathsAndValues) {
  EXPECT_EQ(ToSearchableText(
                *Put("d", R"({"a": {"b": [1, {"c": "x"}, null], "": true}, "": {"": 2, "e": {}},
                              "z": -0.5})")
                     .document)
                .body,
            "2; a.: true; a.b: 1; a.b.c: x; z: -0.5");
}

// 27 GB of paths, if each child had a copy of its own.
TEST_F(SearchBoundsTest, ALongKeyOfManyChildrenIsWrittenOnce) {
  std::string content = absl::StrCat("{\"", std::string(500'000, 'k'), "\": {");
  for (int i = 0; i < 55'000; ++i) absl::StrAppend(&content, i == 0 ? "" : ",", "\"", i, "\":null");
  EXPECT_EQ(ToSearchableText(*Put("d", content + "}}").document).body, "");
}

}  // namespace
}  // namespace cmkstore::search
