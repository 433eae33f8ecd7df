// Search through the whole service: index, follower, gate and store.

#include <filesystem>
#include <fstream>

#include "tests/e2e/served_hub.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class SearchServiceTest : public ServedHub {
 protected:
  grpc::Status Ask(v1::SearchRequest request, v1::SearchResponse* response,
                   const std::string& role = "reader") {
    if (request.parent().empty()) request.set_parent(kHub);
    return search_->Search(As(role).get(), request, response);
  }
  // Finds what was written up to the last Write.
  v1::SearchResponse Find(const std::string& query, const std::string& filter = "") {
    v1::SearchRequest request;
    request.set_query(query);
    request.set_filter(filter);
    request.set_min_sequence(sequence_);
    v1::SearchResponse response;
    const grpc::Status status = Ask(request, &response);
    EXPECT_EQ(ReasonOf(status), "OK") << status.error_message();
    return response;
  }
  void Write(const std::string& id, const std::string& content) {
    v1::Document stored;
    ASSERT_EQ(ReasonOf(Put(id, content, &stored)), "OK");
    sequence_ = stored.sequence();
  }
  static std::vector<std::string> Names(const v1::SearchResponse& response) {
    std::vector<std::string> names;
    for (const v1::SearchHit& hit : response.hits()) {
      names.push_back(hit.document().name().substr(hit.document().name().rfind('/') + 1));
    }
    return names;
  }
  std::string IndexFile() {
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path() + "/data/indexes")) {
      if (entry.path().extension() == ".index") return entry.path();
    }
    return "";
  }
  uint64_t sequence_ = 0;
};

TEST_F(SearchServiceTest, ACallerFindsItsOwnWritesAtOnce) {
  SetUpHub();
  Write("d1", R"({"name": "nightly evaluation", "metrics": {"accuracy": 0.91}})");
  Write("d2", R"({"name": "weekly evaluation", "metrics": {"accuracy": 0.75}})");
  EXPECT_THAT(Names(Find("evaluation")), UnorderedElementsAre("d1", "d2"));
  EXPECT_THAT(Names(Find("evaluation", "content.metrics.accuracy > 0.9")), ElementsAre("d1"));
  Write("d1", R"({"name": "renamed"})");
  EXPECT_THAT(Names(Find("nightly")), ElementsAre());
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d1"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  sequence_ = removed.sequence();
  EXPECT_THAT(Names(Find("renamed")), ElementsAre());
}

TEST_F(SearchServiceTest, HitsCarryTheDocumentTheSnippetAndItsHighlights) {
  SetUpHub();
  Write("d1", R"({"name": "nightly evaluation"})");
  const v1::SearchResponse found = Find("nightly");
  ASSERT_EQ(found.hits_size(), 1);
  const v1::SearchHit& hit = found.hits(0);
  EXPECT_EQ(hit.document().labels().at("canary-label"), "canary-label-value");
  EXPECT_EQ(hit.document().content(), "") << "BASIC by default";
  ASSERT_EQ(hit.highlights_size(), 1);
  EXPECT_EQ(hit.snippet().substr(hit.highlights(0).begin(),
                                 hit.highlights(0).end() - hit.highlights(0).begin()),
            "nightly");
  EXPECT_GT(hit.score(), 0);
}

TEST_F(SearchServiceTest, PagesFollowEachOtherAndTheTokenIsBoundToItsQuestion) {
  SetUpHub();
  for (int i = 0; i < 5; ++i) Write(absl::StrCat("d", i), R"({"word": "common"})");
  v1::SearchRequest request;
  request.set_query("common");
  request.set_page_size(2);
  request.set_min_sequence(sequence_);
  std::vector<std::string> seen;
  do {
    v1::SearchResponse page;
    ASSERT_EQ(ReasonOf(Ask(request, &page)), "OK");
    EXPECT_EQ(page.total_size(), 5u);
    for (const std::string& name : Names(page)) seen.push_back(name);
    request.set_page_token(page.next_page_token());
    if (seen.size() == 2u) {
      v1::SearchRequest other = request;
      other.set_query("another");
      EXPECT_EQ(ReasonOf(Ask(other, &page)), "FIELD_INVALID");
    }
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, UnorderedElementsAre("d0", "d1", "d2", "d3", "d4"));
}

TEST_F(SearchServiceTest, RefusesWhatDoesNotParseAndAFutureSequence) {
  SetUpHub();
  v1::SearchRequest request;
  v1::SearchResponse response;
  request.set_query("(open");
  EXPECT_EQ(ReasonOf(Ask(request, &response)), "FIELD_INVALID");
  request.set_query("");
  request.set_filter("no_such_field = 1");
  EXPECT_EQ(ReasonOf(Ask(request, &response)), "FIELD_INVALID");
  request.set_filter("");
  request.set_min_sequence(1'000'000);
  EXPECT_EQ(ReasonOf(Ask(request, &response)), "FIELD_INVALID");
  request.set_min_sequence(0);
  request.set_parent(absl::StrCat(kHub, "/projects/none"));
  EXPECT_EQ(ReasonOf(Ask(request, &response)), "PROJECT_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Ask(request, &response, "key_admin")), "ACCESS_DENIED");
}

TEST_F(SearchServiceTest, ALockClosesTheIndexAndAnUnlockBringsItBack) {
  SetUpHub();
  Write("d1", R"({"name": "nightly"})");
  ASSERT_THAT(Names(Find("nightly")), ElementsAre("d1"));
  EXPECT_TRUE(Lock().last_receipt().index_closed());
  v1::SearchRequest request;
  v1::SearchResponse response;
  EXPECT_EQ(ReasonOf(Ask(request, &response)), "HUB_LOCKED");
  v1::GetSearchIndexRequest get;
  get.set_name(absl::StrCat(kHub, "/searchIndex"));
  v1::SearchIndex index;
  ASSERT_TRUE(search_->GetSearchIndex(As("reader").get(), get, &index).ok());
  EXPECT_EQ(index.state(), v1::SearchIndex::LOCKED);
  Unlock();
  EXPECT_THAT(Names(Find("nightly")), ElementsAre("d1"));
  ASSERT_TRUE(search_->GetSearchIndex(As("reader").get(), get, &index).ok());
  EXPECT_EQ(index.state(), v1::SearchIndex::SERVING);
  EXPECT_EQ(index.document_count(), 1u);
}

TEST_F(SearchServiceTest, AnIndexThatIsLostIsRebuiltFromTheStore) {
  SetUpHub();
  for (int i = 0; i < 20; ++i) Write(absl::StrCat("d", i), R"({"name": "nightly"})");
  ASSERT_EQ(Find("nightly").total_size(), 20u);
  server_.reset();
  std::fstream file(IndexFile(), std::ios::in | std::ios::out | std::ios::binary);
  for (int at = 0; at < 40'000; at += 1000) {
    file.seekp(at);
    file.put('x');
  }
  file.close();
  StartServer();
  EXPECT_EQ(Find("nightly").total_size(), 20u);
}

TEST_F(SearchServiceTest, WhoAsksForTheStateOfALostIndexIsToldThatItIsRebuilt) {
  SetUpHub();
  Write("d1", R"({"name": "nightly"})");
  ASSERT_EQ(Find("nightly").total_size(), 1u);
  server_.reset();
  ASSERT_TRUE(WriteFileDurably(IndexFile(), std::string(40'000, 'x')));
  StartServer();
  v1::GetSearchIndexRequest get;
  get.set_name(absl::StrCat(kHub, "/searchIndex"));
  v1::SearchIndex index;
  ASSERT_EQ(ReasonOf(search_->GetSearchIndex(As("reader").get(), get, &index)), "OK");
  EXPECT_EQ(index.state(), v1::SearchIndex::REBUILDING);
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (index.document_count() < 1 && absl::Now() < give_up) {
    ASSERT_EQ(ReasonOf(search_->GetSearchIndex(As("reader").get(), get, &index)), "OK");
  }
  EXPECT_EQ(index.document_count(), 1u) << "though nobody has searched";
}

TEST_F(SearchServiceTest, AnIndexThatIsGoneIsFilledFromTheFeed) {
  SetUpHub();
  for (int i = 0; i < 20; ++i) Write(absl::StrCat("d", i), R"({"name": "nightly"})");
  server_.reset();
  std::filesystem::remove_all(dir_.path() + "/data/indexes");
  StartServer();
  EXPECT_EQ(Find("nightly").total_size(), 20u);
}

// A copy of the index from before the last writes: what a crash of the machine leaves, or a kill
// while it lags.
TEST_F(SearchServiceTest, AnIndexThatACrashLeftBehindIsLevelledOnceTheHubIsUsed) {
  SetUpHub();
  Write("d1", R"({"name": "nightly"})");
  ASSERT_EQ(Find("nightly").total_size(), 1u);
  server_.reset();
  const std::string old = dir_.path() + "/old";
  std::filesystem::copy(dir_.path() + "/data/indexes", old);
  StartServer();
  for (int i = 2; i < 600; ++i) Write(absl::StrCat("d", i), R"({"name": "nightly"})");
  server_.reset();
  std::filesystem::remove_all(dir_.path() + "/data/indexes");
  std::filesystem::rename(old, dir_.path() + "/data/indexes");
  StartServer();
  ASSERT_EQ(ReasonOf(Get("d1")), "OK");  // has the key fetched, and no more
  v1::GetSearchIndexRequest get;
  get.set_name(absl::StrCat(kHub, "/searchIndex"));
  v1::SearchIndex index;
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  do {
    ASSERT_TRUE(search_->GetSearchIndex(As("reader").get(), get, &index).ok());
  } while (index.document_count() < 599 && absl::Now() < give_up);
  EXPECT_EQ(index.document_count(), 599u);
  EXPECT_EQ(index.indexed_sequence(), index.last_sequence());
}

// An index that gathers changes for as long as a test takes, unless a search waits for them.
class LaggingIndexTest : public SearchServiceTest {
 protected:
  void SetUp() override { StartServer(); }
  void Adjust(service::ServerOptions& options) override {
    options.follower.refresh = absl::Minutes(10);
  }
};

TEST_F(LaggingIndexTest, AnswersOfAnIndexThatIsBehindSaySo) {
  SetUpHub();
  Write("d1", R"({"name": "nightly"})");
  v1::SearchResponse level = Find("nightly");
  EXPECT_EQ(level.indexed_sequence(), level.last_sequence());
  EXPECT_TRUE(level.total_is_exact());
  v1::RotateDekRequest rotate;  // commits that change no document
  rotate.set_name(kHub);
  google::longrunning::Operation operation;
  ASSERT_TRUE(keys_->RotateDek(As("key_admin").get(), rotate, &operation).ok());
  ASSERT_TRUE(testing::AwaitOperation(
                  channel_, [this] { return As("reader"); }, operation)
                  .ok());
  level = Find("nightly");
  EXPECT_GT(level.last_sequence(), sequence_);
  EXPECT_EQ(level.indexed_sequence(), level.last_sequence()) << "nothing is missing";
  EXPECT_TRUE(level.total_is_exact());
  Write("d2", R"({"name": "nightly"})");
  v1::SearchRequest request;
  request.set_query("nightly");
  v1::SearchResponse behind;
  ASSERT_EQ(ReasonOf(Ask(request, &behind)), "OK");
  EXPECT_EQ(behind.total_size(), 1u);
  EXPECT_FALSE(behind.total_is_exact());
  EXPECT_LT(behind.indexed_sequence(), behind.last_sequence());
  EXPECT_EQ(behind.last_sequence(), sequence_);
  const v1::SearchResponse awaited = Find("nightly");
  EXPECT_EQ(awaited.total_size(), 2u);
  EXPECT_TRUE(awaited.total_is_exact());
}

TEST_F(LaggingIndexTest, PassagesOfWhatHasBeenTakenOutAreNotShown) {
  SetUpHub();
  Write("d1", R"({"name": "the secret word"})");
  ASSERT_EQ(Find("secret").hits(0).highlights_size(), 1);
  Write("d1", R"({"name": "harmless"})");
  v1::SearchRequest request;
  request.set_query("secret");
  v1::SearchResponse behind;
  ASSERT_EQ(ReasonOf(Ask(request, &behind)), "OK");
  ASSERT_THAT(Names(behind), ElementsAre("d1"));
  EXPECT_EQ(behind.hits(0).snippet(), "");
  EXPECT_EQ(behind.hits(0).highlights_size(), 0);
  v1::DeleteProjectRequest remove;
  remove.set_name(kProject);
  remove.set_force(true);
  google::protobuf::Empty nothing;
  ASSERT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), remove, &nothing)), "OK");
  ASSERT_EQ(ReasonOf(CreateProject()), "OK");
  Write("d1", R"({"name": "another document"})");
  ASSERT_EQ(ReasonOf(Ask(request, &behind)), "OK");
  EXPECT_THAT(Names(behind), ElementsAre()) << "another project of the same name";
}

}  // namespace
}  // namespace cmkstore
