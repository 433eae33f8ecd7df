// Documents that do not open, met by a search, the index, a list, a batch or a watch: all others
// are found.

#include <gmock/gmock.h>

#include <filesystem>
#include <map>

#include "store/change_feed.h"
#include "tests/service/reasons_fixture.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class UnreadableTest : public FailingHub {
 protected:
  void SetUp() override {
    StartServer();
    SetUpHub();
    // Told apart by their revisions.
    const char* const ids[] = {"whole", "damaged", "keyless", "too_new"};
    v1::Document stored;
    for (int document = 0; document < 4; ++document) {
      for (int i = 0; i <= document; ++i) {
        ASSERT_EQ(ReasonOf(Put(ids[document], R"({"word": "common"})", &stored)), "OK");
      }
    }
    ASSERT_EQ(Find(stored.sequence()).hits_size(), 4);
  }
  void DamageRows() {
    DamageStore([](store::Engine& engine) {
      ChangeRow(engine, 2, 1000);  // the last byte
      ChangeRow(engine, 3, 8);     // DEK id
      ChangeRow(engine, 4, 2);     // format version; no row can be looked into after this
    });
  }
  v1::SearchResponse Find(uint64_t min_sequence = 0) {
    v1::SearchRequest request;
    request.set_parent(kHub);
    request.set_query("common");
    request.set_min_sequence(min_sequence);
    v1::SearchResponse response;
    EXPECT_EQ(ReasonOf(search_->Search(As("reader").get(), request, &response)), "OK");
    return response;
  }
  static std::vector<std::string> Hits(const v1::SearchResponse& response) {
    std::vector<std::string> names;
    for (const v1::SearchHit& hit : response.hits()) names.push_back(hit.document().name());
    return names;
  }
  v1::SearchIndex Index() {
    v1::GetSearchIndexRequest request;
    request.set_name(absl::StrCat(kHub, "/searchIndex"));
    v1::SearchIndex index;
    EXPECT_EQ(ReasonOf(search_->GetSearchIndex(As("reader").get(), request, &index)), "OK");
    return index;
  }
  // What is found when the index has met the damage itself.
  void ExpectLeftOut() {
    v1::Document stored;
    ASSERT_EQ(ReasonOf(Put("later", R"({"word": "common"})", &stored)), "OK");
    const v1::SearchResponse found = Find(stored.sequence());
    EXPECT_THAT(Hits(found), UnorderedElementsAre(NameOf("whole"), NameOf("later")));
    EXPECT_EQ(found.unreadable_size(), 0);
    EXPECT_FALSE(found.total_is_exact());
    EXPECT_EQ(Index().document_count(), 2u);
    EXPECT_EQ(Index().unreadable_count(), 3u);
  }
};

TEST_F(UnreadableTest, APageShowsTheOthersAndNamesThem) {
  DamageRows();
  const v1::SearchResponse found = Find();
  EXPECT_THAT(Hits(found), ElementsAre(NameOf("whole")));
  EXPECT_THAT(found.unreadable(),
              UnorderedElementsAre(NameOf("damaged"), NameOf("keyless"), NameOf("too_new")));
  EXPECT_EQ(found.total_size(), 4u);
  EXPECT_EQ(ReasonOf(Get("damaged")), "DOCUMENT_CORRUPT");
  const std::string log = *ReadFile(dir_.path() + "/log.jsonl");
  EXPECT_THAT(log, HasSubstr("\"document_corrupt\""));
  EXPECT_THAT(log, HasSubstr("\"document_too_new\""));
}

TEST_F(UnreadableTest, AListShowsTheOthersAndCountsThem) {
  DamageRows();
  v1::ListDocumentsRequest request;
  request.set_parent(absl::StrCat(kProject, "/collections/-"));
  request.set_page_size(1);
  std::vector<std::string> names, unreadable;
  int pages = 0;
  do {
    v1::ListDocumentsResponse page;
    ASSERT_EQ(ReasonOf(documents_->ListDocuments(As("reader").get(), request, &page)), "OK");
    for (const auto& one : page.documents()) names.push_back(one.name());
    for (const auto& one : page.unreadable()) {
      EXPECT_EQ(one.name(), kProject) << "its own is sealed with it";
      unreadable.push_back(one.reason());
    }
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 4);
  EXPECT_THAT(names, ElementsAre(NameOf("whole")));
  EXPECT_THAT(unreadable,
              UnorderedElementsAre("DOCUMENT_CORRUPT", "DEK_NOT_FOUND", "FORMAT_TOO_NEW"));
}

TEST_F(UnreadableTest, ABatchHasTheOthersAndNamesThem) {
  DamageRows();
  v1::BatchGetDocumentsRequest request;
  request.set_parent(kHub);
  for (const char* id : {"too_new", "none", "damaged", "whole", "keyless"}) {
    request.add_names(NameOf(id));
  }
  v1::BatchGetDocumentsResponse found;
  ASSERT_EQ(ReasonOf(documents_->BatchGetDocuments(As("reader").get(), request, &found)), "OK");
  ASSERT_EQ(found.documents_size(), 1);
  EXPECT_EQ(found.documents(0).name(), NameOf("whole"));
  EXPECT_THAT(found.missing(), ElementsAre(NameOf("none")));
  std::vector<std::string> unreadable;
  for (const auto& one : found.unreadable()) {
    unreadable.push_back(absl::StrCat(one.name(), " ", one.reason()));
  }
  EXPECT_THAT(unreadable, ElementsAre(NameOf("too_new") + " FORMAT_TOO_NEW",
                                      NameOf("damaged") + " DOCUMENT_CORRUPT",
                                      NameOf("keyless") + " DEK_NOT_FOUND"));
}

TEST_F(UnreadableTest, AWatchTellsOfThemAndGoesOn) {
  DamageRows();
  ASSERT_EQ(ReasonOf(Put("later", "{}")), "OK");
  v1::WatchDocumentsRequest request;
  request.set_parent(kHub);
  request.set_view(v1::FULL);
  const auto context = As("reader");
  const auto stream = documents_->WatchDocuments(context.get(), request);
  std::vector<v1::DocumentChange> seen;
  v1::WatchDocumentsResponse part;
  while ((seen.empty() || seen.back().document().name() != NameOf("later")) &&
         stream->Read(&part)) {
    seen.insert(seen.end(), part.changes().begin(), part.changes().end());
  }
  context->TryCancel();
  stream->Finish();
  std::map<std::string, int> unreadable;
  for (const v1::DocumentChange& change : seen) {
    if (change.kind() != v1::DocumentChange::UNREADABLE) continue;
    ++unreadable[change.reason()];
    EXPECT_EQ(change.document().name(), kProject);
    EXPECT_EQ(change.document().content(), "");
    EXPECT_GT(change.sequence(), 0u);
  }
  EXPECT_THAT(unreadable,
              ElementsAre(std::pair("DEK_NOT_FOUND", 3), std::pair("DOCUMENT_CORRUPT", 2),
                          std::pair("FORMAT_TOO_NEW", 4)))
      << "by the writes of each";
  EXPECT_EQ(seen.size(), 1u + 9 + 1);
}

TEST_F(UnreadableTest, AWatchOfAHubSaysThatAProjectWentWhoseNameIsNotKept) {
  DamageStore([](store::Engine& engine) {  // as versions before FeedChange.project wrote it
    storage::v1::FeedRecord record;
    storage::v1::FeedChange& change = *record.add_changes();
    change.set_kind(storage::v1::FeedChange::KIND_PROJECT_DELETED);
    change.set_project_uid(std::string(16, 'p'));
    store::WriteSet writes;
    store::ChangeFeed::Append(writes, record);
    ASSERT_TRUE(store::ApplyAndWait(engine, PartitionOf(engine, "h1"), std::move(writes)).ok());
  });
  v1::Document stored;
  ASSERT_EQ(ReasonOf(Put("later", "{}", &stored)), "OK");
  for (const std::string parent : {kHub, kProject}) {
    v1::WatchDocumentsRequest request;
    request.set_parent(parent);
    request.set_after_sequence(stored.sequence() - 2);
    const auto context = As("reader");
    const auto stream = documents_->WatchDocuments(context.get(), request);
    v1::WatchDocumentsResponse part;
    ASSERT_TRUE(stream->Read(&part));
    std::vector<std::string> told;
    for (const auto& change : part.changes()) told.push_back(change.project());
    if (parent == kHub) {
      EXPECT_THAT(told, ElementsAre(absl::StrCat(kHub, "/projects/-"), ""));
    } else {
      EXPECT_THAT(told, ElementsAre("")) << "it was another";
    }
    context->TryCancel();
    stream->Finish();
  }
}

TEST_F(UnreadableTest, TheIndexGoesOnWithoutThemAndTellsHowManyItLacks) {
  DamageRows();
  server_.reset();
  std::filesystem::remove_all(dir_.path() + "/data/indexes");
  StartServer();
  ExpectLeftOut();
}

TEST_F(UnreadableTest, SoDoesARebuild) {
  DamageRows();
  v1::RebuildSearchIndexRequest rebuild;
  rebuild.set_name(absl::StrCat(kHub, "/searchIndex"));
  google::longrunning::Operation operation;
  ASSERT_EQ(ReasonOf(search_->RebuildSearchIndex(As("owner").get(), rebuild, &operation)), "OK");
  const auto ended = testing::AwaitOperation(
      channel_, [this] { return As("reader"); }, operation);
  ASSERT_TRUE(ended.ok());
  ExpectLeftOut();
}

}  // namespace
}  // namespace cmkstore
