// A project that goes with any number of documents: nobody waits for all of them.

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {
namespace {

class ProjectRemovalTest : public IndexTest {
 protected:
  static constexpr uint64_t kDocuments = 4000;  // many slices

  void SetUp() override {
    std::vector<IndexChange> changes;
    for (uint64_t i = 0; i < kDocuments; ++i) {
      changes.push_back(Put(absl::StrCat("doc", i), R"({"text": "canary"})"));
    }
    ASSERT_THAT(index().Apply(changes, 1), IsOk());
  }
  absl::Status Remove() {
    return index().Apply({{std::string(16, 'p'), std::nullopt}, Put("later", "{}")}, 2);
  }
  // Searches until some documents are gone.
  uint64_t AwaitFewer() {
    uint64_t left = kDocuments;
    while (left == kDocuments) left = Find("canary").total;
    return left;
  }
};

TEST_F(ProjectRemovalTest, SearchesAreLetInOnTheWay) {
  std::thread removal([this] { EXPECT_THAT(Remove(), IsOk()); });
  EXPECT_GT(AwaitFewer(), 0u);
  EXPECT_EQ(Find("").indexed_sequence, 1u) << "it is not done";
  removal.join();
  EXPECT_EQ(Find("canary").total, 0u);
  EXPECT_EQ(Find("").total, 1u);
  EXPECT_EQ(Find("").indexed_sequence, 2u);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
}

TEST_F(ProjectRemovalTest, ACloseEndsItAndApplyingAgainMakesItGood) {
  std::thread removal([this] { EXPECT_THAT(Remove(), FailsWith("HUB_LOCKED", "")); });
  AwaitFewer();
  index().Close();
  removal.join();
  index_.reset();
  EXPECT_EQ(index().indexed_sequence(), 1u);
  EXPECT_GT(Find("canary").total, 0u);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
  EXPECT_THAT(Remove(), IsOk());
  EXPECT_EQ(Find("").total, 1u);
}

}  // namespace
}  // namespace cmkstore::search
