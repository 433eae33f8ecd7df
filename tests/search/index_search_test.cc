#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class IndexSearchTest : public IndexTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(
        index().Apply(
            {Put("summarize",
                 R"({"name": "Summarize news", "model": "gpt-4o", "temperature": 0.2, "tags": ["prod", "news"]})",
                 {{"team", "red"}, {"stage", "prod"}}),
             Put("classify",
                 R"({"name": "Classify tickets", "model": "phi-3", "temperature": 0.7})",
                 {{"team", "blue"}}),
             Put("eval-1", R"({"name": "Nightly", "metrics": {"accuracy": 0.91, "f1-score": 0.8}})",
                 {{"team", "red"}}, "evaluations"),
             Put("eval-2", R"({"name": "Weekly", "metrics": {"accuracy": 0.75}, "passed": true})",
                 {}, "evaluations")},
            7),
        IsOk());
  }
  void Refused(const SearchQuery& query, const std::string& what) {
    EXPECT_THAT(index().Search(query), FailsWith("FIELD_INVALID", what));
  }
};

TEST_F(IndexSearchTest, FindsWordsPhrasesAndPrefixesInContentLabelsAndNames) {
  EXPECT_THAT(Ids(Find("tickets")), ElementsAre("classify"));
  EXPECT_THAT(Ids(Find("\"summarize news\"")), ElementsAre("summarize"));
  EXPECT_THAT(Ids(Find("\"news summarize\"")), ElementsAre());
  EXPECT_THAT(Ids(Find("tick*")), ElementsAre("classify"));
  EXPECT_THAT(Ids(Find("blue")), ElementsAre("classify"));
  EXPECT_THAT(Ids(Find("gpt-4o")), ElementsAre("summarize"));
  EXPECT_THAT(Ids(Find("accuracy")), UnorderedElementsAre("eval-1", "eval-2"));
  EXPECT_EQ(Find("accuracy").indexed_sequence, 7u);
}

TEST_F(IndexSearchTest, JoinsByAndOrNotAndParentheses) {
  EXPECT_THAT(Ids(Find("summarize tickets")), ElementsAre());
  EXPECT_THAT(Ids(Find("summarize OR tickets")), UnorderedElementsAre("summarize", "classify"));
  EXPECT_THAT(Ids(Find("name NOT (nightly OR weekly)")),
              UnorderedElementsAre("summarize", "classify"));
}

TEST_F(IndexSearchTest, WordsOfPunctuationAloneAreLeftOut) {
  for (const char* text : {"- tickets", "tickets -", "tickets AND -", "( – ) tickets",
                           "tickets NOT -", "tickets OR …", "\"--\" tickets", "tickets !*"}) {
    EXPECT_THAT(Ids(Find(text)), ElementsAre("classify")) << text;
  }
  EXPECT_THAT(Ids(Find("summarize - OR tickets")), UnorderedElementsAre("summarize", "classify"));
  SearchQuery query;
  for (const char* text : {"-", "\"\"", "– OR (…)", "!*"}) {
    query.text = text;
    Refused(query, "no word");
  }
  query.text = "- NOT tickets";
  Refused(query, "before");
}

TEST_F(IndexSearchTest, WhatADocumentHoldsIsNeverTakenForAMark) {
  std::string content = R"({"a": "zebra)";
  for (int c = 1; c < 0x20; ++c) absl::StrAppend(&content, "\\u00", absl::Hex(c, absl::kZeroPad2));
  ASSERT_THAT(index().Apply({Put("odd", content + "\"}")}, 8), IsOk());
  const std::string snippet = Find("zebra").hits.at(0).snippet;
  EXPECT_THAT(snippet, HasSubstr(absl::StrCat("\x02", "\x03")));
  EXPECT_EQ(std::count(snippet.begin(), snippet.end(), kMatchBegin), 1);
  EXPECT_EQ(std::count(snippet.begin(), snippet.end(), kMatchEnd), 1);
}

TEST_F(IndexSearchTest, RefusesAQueryThatDoesNotParseAndSaysWhere) {
  for (const auto& [text, what] :
       std::vector<std::pair<std::string, std::string>>{{"\"open", "quotation"},
                                                        {"(a", "parenthesis"},
                                                        {"a)", "parenthesis"},
                                                        {"a OR", "byte 5"},
                                                        {"NOT a", "before"},
                                                        {std::string(2000, 'a'), "1024"}}) {
    SearchQuery query;
    query.text = text;
    Refused(query, what);
  }
}

TEST_F(IndexSearchTest, NothingTypedIsEverAnError) {
  for (const char* text : {"a-b", "--", "* x", "a*b", "';DROP TABLE docs", "fts:body", "^a", "{x}",
                           "a+b", "NEAR(a b)"}) {
    SearchQuery query;
    query.text = text;
    const auto result = index().Search(query);
    EXPECT_TRUE(result.ok() || HasReason(result.status(), "FIELD_INVALID")) << text;
  }
  EXPECT_EQ(Find("name").total, 4u);
}

TEST_F(IndexSearchTest, AStepOfDigitsIsAPlaceAndInQuotesAKey) {
  ASSERT_THAT(index().Apply({Put("years", R"({"years": {"2024": 7}, "list": [1, 2]})")}, 8),
              IsOk());
  const auto ids = [&](const std::string& filter) { return Ids(Find("", filter)); };
  EXPECT_THAT(ids("content.years.\"2024\" = 7"), ElementsAre("years"));
  EXPECT_THAT(ids("content.years.2024 = 7"), ::testing::IsEmpty());
  EXPECT_THAT(ids("content.list.1 = 2"), ElementsAre("years"));
  EXPECT_THAT(ids("content.list.\"1\" = 2"), ::testing::IsEmpty());
}

// As Python's json.dumps writes them by default, and by hand.
TEST_F(IndexSearchTest, AKeyIsFoundHoweverTheJsonEscapesIt) {
  ASSERT_THAT(
      index().Apply({Put("escaped", R"({"caf\u00e9": 1, "\u0061\/b": {"x\\y": 2, "n\nl": 3}})"),
                     Put("plain", R"({"café": 1, "a/b": {"big": 18446744073709551615}})")},
                    8),
      IsOk());
  const auto ids = [&](const std::string& filter) { return Ids(Find("", filter)); };
  EXPECT_THAT(ids(R"(content."café" = 1)"), UnorderedElementsAre("escaped", "plain"));
  EXPECT_THAT(ids(R"(content."a/b"."x\\y" = 2)"), ElementsAre("escaped"));
  EXPECT_THAT(ids("content.\"a/b\".\"n\nl\" = 3"), ElementsAre("escaped"));
  EXPECT_THAT(ids(R"(content."a/b".big > 1e19)"), ElementsAre("plain"));
  SearchQuery query;
  query.filter = R"(content."a\"b" = 1)";
  Refused(query, "quotation mark");
}

TEST_F(IndexSearchTest, WhichContentIsSearchedGoesByItsTypeWhateverItsCase) {
  std::vector<IndexChange> changes;
  const auto add = [&](const std::string& id, const std::string& type, const std::string& content) {
    changes.push_back(Put(id, content));
    changes.back().document->content_type = type;
  };
  add("a", "Application/JSON; charset=utf-8", R"({"k": "okapi"})");
  add("b", "application/geo+json", R"({"k": "okapi"})");
  add("c", "application/sql", "SELECT okapi");
  add("d", "image/png", "okapi");
  ASSERT_THAT(index().Apply(changes, 8), IsOk());
  EXPECT_THAT(Ids(Find("okapi")), UnorderedElementsAre("a", "b", "c"));
  EXPECT_THAT(Ids(Find("", "content.k = okapi")), UnorderedElementsAre("a", "b"));
}

TEST_F(IndexSearchTest, FiltersByEveryKindOfField) {
  const auto ids = [&](const std::string& filter) { return Ids(Find("", filter)); };
  EXPECT_THAT(ids("labels.team = red"), UnorderedElementsAre("summarize", "eval-1"));
  EXPECT_THAT(ids("labels.team != red"), ElementsAre("classify"));
  EXPECT_THAT(ids("NOT labels.team = red"), UnorderedElementsAre("classify", "eval-2"));
  EXPECT_THAT(ids("labels.stage:*"), ElementsAre("summarize"));
  EXPECT_THAT(ids("collection = evaluations AND content.metrics.accuracy >= 0.9"),
              ElementsAre("eval-1"));
  EXPECT_THAT(ids("content.metrics.\"f1-score\" = 0.8"), ElementsAre("eval-1"));
  EXPECT_THAT(ids("content.passed = true"), ElementsAre("eval-2"));
  EXPECT_THAT(ids("content.tags:prod"), ElementsAre("summarize"));
  EXPECT_THAT(ids("content.tags.0 = \"prod\""), ElementsAre("summarize"));
  EXPECT_THAT(ids("content.name = \"Class*\""), ElementsAre("classify"));
  EXPECT_THAT(ids("document = eval-*"), UnorderedElementsAre("eval-1", "eval-2"));
  EXPECT_THAT(ids("update_time > \"2023-01-01T00:00:00Z\" -collection = flows"),
              UnorderedElementsAre("eval-1", "eval-2"));
  EXPECT_THAT(ids("update_time < 2023-01-01T00:00:00Z"), ElementsAre());
  EXPECT_THAT(ids("project = vision AND collection = flows OR collection = evaluations").size(),
              4u);
  EXPECT_THAT(ids("(labels.team = blue OR content.passed = true) AND document:eval"),
              ElementsAre("eval-2"));
}

TEST_F(IndexSearchTest, AFilterNarrowsAQuery) {
  EXPECT_THAT(Ids(Find("accuracy", "labels.team = red")), ElementsAre("eval-1"));
  EXPECT_EQ(Find("accuracy", "labels.team = red").total, 1u);
}

TEST_F(IndexSearchTest, ContentIsComparedWithValuesOfItsOwnType) {
  ASSERT_THAT(index().Apply({Put("text", R"({"x": "n/a"})"), Put("number", R"({"x": 0.95})"),
                             Put("digits", R"({"x": "0.95"})"), Put("list", R"({"x": [0.95]})"),
                             Put("yes", R"({"x": true})"), Put("one", R"({"x": 1})"),
                             Put("null", R"({"x": null})"), Put("hex", R"({"x": "0x1"})")},
                            8),
              IsOk());
  const auto ids = [&](const std::string& filter) { return Ids(Find("", filter)); };
  EXPECT_THAT(ids("content.x >= 0.9"), UnorderedElementsAre("number", "one"));
  EXPECT_THAT(ids("content.x = 0.95"), ElementsAre("number"));
  EXPECT_THAT(ids("content.x = \"0.95\""), ElementsAre("digits"));
  EXPECT_THAT(ids("content.x = 0x1"), ElementsAre("hex"));
  EXPECT_THAT(ids("content.x > a"), ElementsAre("text"));
  EXPECT_THAT(ids("content.x = 0*"), UnorderedElementsAre("digits", "hex"));
  EXPECT_THAT(ids("content.x = true"), ElementsAre("yes"));
  EXPECT_THAT(ids("content.x = 1"), ElementsAre("one"));
  EXPECT_THAT(ids("content.x != 1"), ElementsAre("number"));
  EXPECT_THAT(ids("content.x = nan"), ElementsAre());
  EXPECT_EQ(Find("", "NOT content.x = 1").total, 11u);
}

TEST_F(IndexSearchTest, AnArrayHasWhatIsWrittenAsItIs) {
  ASSERT_THAT(
      index().Apply({Put("mixed", R"({"x": [true, 3, "four", "7"]})"), Put("yes", R"({"x": true})"),
                     Put("text", R"({"x": "true north"})"), Put("one", R"({"x": [1]})")},
                    8),
      IsOk());
  const auto ids = [&](const std::string& filter) { return Ids(Find("", filter)); };
  EXPECT_THAT(ids("content.x:true"), UnorderedElementsAre("mixed", "yes", "text"));
  EXPECT_THAT(ids("content.x:\"true\""), ElementsAre("text"));
  EXPECT_THAT(ids("content.x:3"), ElementsAre("mixed"));
  EXPECT_THAT(ids("content.x:7"), ElementsAre("mixed"));
  EXPECT_THAT(ids("content.x:four"), ElementsAre("mixed"));
  EXPECT_THAT(ids("content.x:fou"), ElementsAre()) << "an element is had as a whole";
  EXPECT_THAT(ids("content.x:north"), ElementsAre("text"));
}

TEST_F(IndexSearchTest, RefusesAFilterThatDoesNotParseAndSaysWhere) {
  for (const auto& [filter, what] :
       std::vector<std::pair<std::string, std::string>>{{"team = red", "labels.KEY"},
                                                        {"labels.team", "="},
                                                        {"labels.team =", "value"},
                                                        {"(labels.team = red", "parenthesis"},
                                                        {"labels.team = red)", "parenthesis"},
                                                        {"labels.team = \"red", "quotation"},
                                                        {"update_time > yesterday", "time such as"},
                                                        {"labels.\"\" = x", "field"},
                                                        {std::string(3000, 'x'), "2048"}}) {
    SearchQuery query;
    query.filter = filter;
    Refused(query, what);
  }
}

TEST_F(IndexSearchTest, ValuesAreNeverSql) {
  EXPECT_THAT(Ids(Find("", R"(labels.team = "red' OR 1=1 --")")), ElementsAre());
  EXPECT_THAT(Ids(Find("", R"(labels."x' OR 1=1 --" = red)")), ElementsAre());
  EXPECT_EQ(Find("").total, 4u);
}

TEST_F(IndexSearchTest, CountsFacetsOfAllMatches) {
  SearchQuery query;
  query.facets = {"collection", "labels.team", "project"};
  query.limit = 1;
  const SearchResult result = Find(query);
  ASSERT_EQ(result.facets.size(), 3u);
  ASSERT_EQ(result.facets[0].size(), 2u);
  EXPECT_EQ(result.facets[0][0].count, 2u);
  EXPECT_EQ(result.facets[1][0].value, "red");
  EXPECT_EQ(result.facets[1][0].count, 2u);
  EXPECT_EQ(result.facets[2].size(), 1u);
  for (const char* other : {"update_time", "document", "content.model", "labels.team x", ""}) {
    query.facets = {other};
    Refused(query, "facets");
  }
}

TEST_F(IndexSearchTest, OrdersByFieldsMissingOnesLast) {
  SearchQuery query;
  query.order_by = "content.metrics.accuracy desc, document";
  EXPECT_THAT(Ids(Find(query)), ElementsAre("eval-1", "eval-2", "classify", "summarize"));
  query.order_by = "document";
  query.limit = 2;
  query.offset = 1;
  EXPECT_THAT(Ids(Find(query)), ElementsAre("eval-1", "eval-2"));
  query.order_by = "relevance";
  Refused(query, "relevance needs a query");
  for (const char* wrong : {"nonsense", "document down", "document desc asc", "document,", ",",
                            "labels.\"a", "document document"}) {
    query.order_by = wrong;
    Refused(query, "order_by");
  }
}

TEST_F(IndexSearchTest, AFieldInQuotesMayHoldWhatElseEndsIt) {
  const std::string label = "a, b desc";
  ASSERT_THAT(index().Apply({Put("b", "{}", {{label, "1"}}), Put("a", "{}", {{label, "2"}})}, 8),
              IsOk());
  SearchQuery query;
  query.filter = "labels.\"a, b desc\":*";
  query.order_by = " labels.\"a, b desc\" desc ,document ";
  query.facets = {"labels.\"a, b desc\""};
  const SearchResult found = Find(query);
  EXPECT_THAT(Ids(found), ElementsAre("a", "b"));
  EXPECT_EQ(found.facets[0].size(), 2u);
}

TEST_F(IndexSearchTest, RanksNamesAndRareWordsHigher) {
  ASSERT_THAT(
      index().Apply({Put("other", R"({"name": "about summarize and much else besides"})")}, 8),
      IsOk());
  EXPECT_THAT(Ids(Find("summarize")), ElementsAre("summarize", "other"));
  EXPECT_GT(Find("summarize").hits[0].score, Find("summarize").hits[1].score);
}

TEST_F(IndexSearchTest, ShowsASnippetWithTheMatchedWordsMarked) {
  const SearchResult result = Find("nightly");
  ASSERT_EQ(result.hits.size(), 1u);
  EXPECT_THAT(result.hits[0].snippet, HasSubstr("name: \xfeNightly\xff"));
}

TEST_F(IndexSearchTest, AZeroByteEndsNoSnippet) {
  ASSERT_THAT(index().Apply({Put("zero", R"({"text": "before\u0000behind"})")}, 8), IsOk());
  EXPECT_THAT(Find("before").hits.at(0).snippet, HasSubstr("behind"));
}

TEST_F(IndexSearchTest, AChangeReplacesAndARemovalRemoves) {
  ASSERT_THAT(
      index().Apply(
          {Put("classify", R"({"name": "Classify mails"})"), Removed("eval-1", "evaluations")}, 9),
      IsOk());
  EXPECT_THAT(Ids(Find("tickets")), ElementsAre());
  EXPECT_THAT(Ids(Find("mails")), ElementsAre("classify"));
  EXPECT_THAT(Ids(Find("", "labels.team:*")), ElementsAre("summarize"));
  EXPECT_THAT(Ids(Find("nightly")), ElementsAre());
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
  ASSERT_THAT(index().Apply({{std::string(16, 'p'), std::nullopt}}, 10), IsOk());
  EXPECT_EQ(Find("").total, 0u);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
}

TEST_F(IndexSearchTest, TellsThatItMayLackWhatCouldNotBeRead) {
  EXPECT_TRUE(Find("").total_is_exact);
  const IndexChange unreadable{Removed("eval-1", "evaluations").key, std::nullopt, true};
  ASSERT_THAT(index().Apply({unreadable}, 8), IsOk());
  index_.reset();
  EXPECT_EQ(Find("").total, 3u);
  EXPECT_FALSE(Find("").total_is_exact);
  EXPECT_EQ(index().Stats()->unreadable, 1u);
  ASSERT_THAT(index().Apply({unreadable, Put("eval-1", "{}", {}, "evaluations")}, 9), IsOk());
  EXPECT_TRUE(Find("").total_is_exact) << "it was written anew";
  ASSERT_THAT(index().Apply({unreadable, {std::string(16, 'p'), std::nullopt}}, 10), IsOk());
  EXPECT_TRUE(Find("").total_is_exact) << "its project is gone";
  EXPECT_EQ(Find("").total, 0u);
}

TEST_F(IndexSearchTest, TheBestMatchComesFirstHoweverManyNewerOnesThereAre) {
  std::vector<IndexChange> changes = {
      Put("best", R"({"a": "common common common"})", {}, "common")};
  for (int i = 0; i < 3000; ++i)
    changes.push_back(
        Put(absl::StrCat("bulk", i), R"({"a": "common and much else of no weight"})"));
  ASSERT_THAT(index().Apply(changes, 10), IsOk());
  SearchQuery query;
  query.text = "common";
  query.limit = 1;
  const SearchResult result = Find(query);
  EXPECT_THAT(Ids(result), ElementsAre("best"));
  EXPECT_EQ(result.total, 3001u);
  EXPECT_TRUE(result.total_is_exact);
}

TEST_F(IndexSearchTest, BoundsWhatItCountsAndPutsInOrder) {
  index_.reset();
  options_.counted_matches = 50;
  std::vector<IndexChange> changes;
  for (int i = 0; i < 100; ++i)
    changes.push_back(Put(absl::StrCat("bulk", i), R"({"word": "common"})"));
  ASSERT_THAT(index().Apply(changes, 10), IsOk());
  SearchQuery query;
  query.text = "common";
  query.limit = 1000;
  const SearchResult result = Find(query);
  EXPECT_EQ(result.total, 50u);
  EXPECT_FALSE(result.total_is_exact);
  EXPECT_EQ(result.hits.size(), 50u);
  EXPECT_EQ(result.hits[49].document, "bulk50");
}

TEST_F(IndexSearchTest, ASearchThatLooksAtTooMuchIsEnded) {
  index_.reset();
  options_.steps_per_search = 10'000;
  std::vector<IndexChange> changes;
  for (int i = 0; i < 3000; ++i) changes.push_back(Put(absl::StrCat("bulk", i), "{}"));
  ASSERT_THAT(index().Apply(changes, 10), IsOk());
  SearchQuery query;
  query.filter = "content.a.b = 3";
  const auto refused = index().Search(query);
  EXPECT_THAT(refused, FailsWith("QUOTA_EXCEEDED", "narrow"));
  EXPECT_FALSE(RetryAfterOf(refused.status()).has_value()) << "later it is as wide";
}

TEST_F(IndexSearchTest, ASearchThatNobodyWaitsForIsEnded) {
  std::vector<IndexChange> changes;
  for (int i = 0; i < 3000; ++i) changes.push_back(Put(absl::StrCat("bulk", i), "{}"));
  ASSERT_THAT(index().Apply(changes, 10), IsOk());
  SearchQuery query;
  query.filter = "content.a.b = 3";
  int asked = 0;
  query.given_up = [&] { return ++asked > 3; };
  EXPECT_THAT(index().Search(query), FailsWith("DEADLINE_EXCEEDED", ""));
  query.given_up = [] { return true; };
  EXPECT_THAT(index().Search(query), FailsWith("DEADLINE_EXCEEDED", ""));
}

TEST_F(IndexSearchTest, DeepOrBrokenJsonDoesNoHarm) {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  ASSERT_THAT(index().Apply({Put("deep", deep), Put("broken", "{\"a\": "), Put("empty", "")}, 11),
              IsOk());
  EXPECT_EQ(Find("", "NOT content.x = 1").total, 7u);
  EXPECT_THAT(Ids(Find("broken")), ElementsAre("broken"));
}

}  // namespace
}  // namespace cmkstore::search
