// What our parsers take at their limits, SQLite must take: its own parsers have a stack of their
// own.

#include "absl/strings/str_cat.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {
namespace {

constexpr int kDepth = 10, kComparisons = 32, kWords = 64;
constexpr char kLeaf[] = "content.a:1";  // the comparison of most SQL

// before ( before ( … innermost … ) )
std::string Nested(const std::string& before, int depth, std::string innermost) {
  for (int i = 0; i < depth; ++i) innermost = absl::StrCat(before, "(", innermost, ")");
  return innermost;
}

std::string Row(const std::string& part, const std::string& joint, int parts) {
  std::string row = part;
  for (int i = 1; i < parts; ++i) absl::StrAppend(&row, joint, part);
  return row;
}

class QueryLimitsTest : public IndexTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(index().Apply({Put("d", R"({"a": 1})", {{"a", "b"}})}, 1), IsOk());
  }
  // In the largest statements that are made of a query.
  static SearchQuery Query(const std::string& text, const std::string& filter) {
    SearchQuery query;
    query.text = text;
    query.filter = filter;
    query.project = "vision";
    query.facets = {"labels.team"};
    query.order_by = "content.a desc, labels.team, content.b.c, update_time";
    return query;
  }
  void Takes(const std::string& text, const std::string& filter) {
    EXPECT_THAT(index().Search(Query(text, filter)), IsOk()) << text << " | " << filter;
  }
};

TEST_F(QueryLimitsTest, FiltersAtTheirLimitsAreTaken) {
  const std::string d = "document:d", leaf = kLeaf;
  std::string nots, left = leaf;
  for (int i = 0; i < kDepth; ++i) {
    absl::StrAppend(&nots, "NOT ");
    left = absl::StrCat("(", left, " OR ", d, ") ", d);
  }
  const std::string part = "content.a = *1*";
  for (const std::string& filter :
       {Nested(absl::StrCat(d, " ", d, " OR "), kDepth, part), Row(leaf, " AND ", kComparisons),
        Row(leaf, " OR ", kComparisons), Row("NOT " + leaf, " ", kComparisons), nots + leaf, left,
        Nested("", kDepth, Row(leaf, " OR ", kComparisons)), Nested(d + " ", kDepth, leaf),
        Nested(d + " OR ", kDepth, leaf), Nested(absl::StrCat(d, " ", d, " OR "), kDepth, leaf),
        Nested(absl::StrCat(d, " OR NOT "), kDepth / 2, leaf),
        Nested(absl::StrCat(d, " ", d, " OR NOT "), kDepth / 2, leaf)}) {
    Takes("", filter);
    Takes("b", filter);
  }
}

TEST_F(QueryLimitsTest, WordsAtTheirLimitsAreTaken) {
  for (const std::string& text :
       {Row("w", " ", kWords), Row("w", " OR ", kWords), Row("w", " NOT ", kWords),
        Row("w", " OR w NOT ", kWords / 2), Nested("a OR ", kDepth, "b"), Nested("a ", kDepth, "b"),
        Nested("a NOT ", kDepth, "b"), Nested("a OR b c NOT ", kDepth, "d*"),
        Nested("", kDepth, Row("w", " NOT ", kWords))}) {
    Takes(text, "");
    Takes(text, Nested("document:d document:d OR ", kDepth, kLeaf));
  }
}

TEST_F(QueryLimitsTest, WhatIsBeyondThemIsRefusedByItsField) {
  EXPECT_THAT(index().Search(Query("", Nested("", kDepth + 1, kLeaf))),
              FailsWith("FIELD_INVALID", "filter"));
  EXPECT_THAT(index().Search(Query("", Row(kLeaf, " ", kComparisons + 1))),
              FailsWith("FIELD_INVALID", "filter"));
  EXPECT_THAT(index().Search(Query(Nested("", kDepth + 1, "a"), "")),
              FailsWith("FIELD_INVALID", "query"));
  EXPECT_THAT(index().Search(Query(Row("w", " ", kWords + 1), "")),
              FailsWith("FIELD_INVALID", "query"));
}

}  // namespace
}  // namespace cmkstore::search
