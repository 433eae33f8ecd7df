// Queries in the three grammars of search, run to their end on a small index: what parses must also
// be SQL that SQLite takes. And documents as they are made searchable.

#include <string>

#include "base/errors.h"
#include "search/searchable_text.h"
#include "search/sqlite_hub_index.h"
#include "tests/fuzz/targets.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::fuzz {
namespace {

using namespace search;  // NOLINT(google-build-using-namespace): the targets speak of nothing else

IndexedDocument Document(const std::string& id, absl::string_view content) {
  IndexedDocument document;
  document.project = "vision";
  document.collection = "flows";
  document.document = id;
  document.labels = {{"team", "red"}, {"a b", "c"}};
  document.content_type = "application/json";
  document.content = std::string(content);
  document.create_time = document.update_time = absl::FromUnixSeconds(1'700'000'000);
  return document;
}

// The index is never closed: at the end of the process the thread's cipher contexts go before it
// would. Its directory goes with the process.
SqliteHubIndex& Index() {
  static const testing::TempDir directory;
  static SqliteHubIndex& index = *[] {
    auto opened = *SqliteHubIndex::Open(directory.path() + "/fuzz.index", HubUid(),
                                        crypto::SecretBytes(std::vector<uint8_t>(32, 'i')), {});
    const std::string key(16, 'p');
    const absl::Status applied = opened->Apply(
        {{key + "1", Document("one", R"({"metrics":{"f1":0.9},"tags":["prod"]})")},
         {key + "2", Document("two", R"({"text":"a red cat","n":[1,2,{"x":null}]})")}},
        1);
    Promise(applied.ok(), "the index takes documents");
    return opened.release();
  }();
  return index;
}

void Search(const SearchQuery& query) {
  const auto result = Index().Search(query);
  const std::string reason = ReasonOf(result.status());
  Promise(result.ok() || reason == "FIELD_INVALID" || reason == "QUOTA_EXCEEDED",
          "a query is answered or refused by its field");
}

void Filter(absl::string_view input) {
  SearchQuery query;
  query.filter = std::string(input);
  Search(query);
  query.text = "red";
  Search(query);
}

void Text(absl::string_view input) {
  SearchQuery query;
  query.text = std::string(input);
  Search(query);
}

void OrderBy(absl::string_view input) {
  SearchQuery query;
  query.order_by = std::string(input);
  Search(query);
  query.facets = {std::string(input)};
  query.order_by.clear();
  Search(query);
}

void Searchable(absl::string_view input) {
  const SearchableText text = ToSearchableText(Document("one", input));
  Promise(text.body.size() <= (256u << 10) + 1024, "what is searchable is bounded");
}

}  // namespace

std::vector<Target> SearchTargets() {
  return {{"filter", Filter},
          {"text_query", Text},
          {"order_by", OrderBy},
          {"searchable_text", Searchable}};
}

}  // namespace cmkstore::fuzz
