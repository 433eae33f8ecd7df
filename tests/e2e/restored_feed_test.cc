// A restored hub's change feed: who has seen what the backup does not have is told so.

#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

using ::testing::HasSubstr;

class RestoredFeedTest : public BackupFixture {
 protected:
  uint64_t Written(const std::string& id) {
    v1::BatchWriteDocumentsRequest request;
    request.set_parent(kHub);
    v1::Document& document = *request.add_writes()->mutable_upsert();
    document.set_name(NameOf(id));
    document.set_content("{}");
    v1::BatchWriteDocumentsResponse response;
    EXPECT_EQ(
        ReasonOf(documents_->BatchWriteDocuments(As("contributor").get(), request, &response)),
        "OK");
    return response.sequence();
  }
  // Names of so many changes from there on, or why there are none.
  std::vector<std::string> WatchFrom(uint64_t sequence, size_t changes) {
    v1::WatchDocumentsRequest request;
    request.set_parent(kHub);
    request.set_after_sequence(sequence);
    const auto context = As("reader");
    const auto stream = documents_->WatchDocuments(context.get(), request);
    std::vector<std::string> seen;
    v1::WatchDocumentsResponse part;
    while (seen.size() < changes && stream->Read(&part)) {
      for (const auto& change : part.changes()) seen.push_back(change.document().name());
    }
    if (seen.size() >= changes) context->TryCancel();
    const grpc::Status status = stream->Finish();
    if (seen.size() >= changes) return seen;
    last_message_ = status.error_message();
    return {ReasonOf(status)};
  }
  std::string SearchFrom(uint64_t sequence) {
    v1::SearchRequest request;
    request.set_parent(kHub);
    request.set_min_sequence(sequence);
    v1::SearchResponse response;
    return ReasonOf(search_->Search(As("reader").get(), request, &response));
  }
  void ExpectRefused(uint64_t sequence) {
    EXPECT_THAT(WatchFrom(sequence, 1), ::testing::ElementsAre("FIELD_INVALID")) << sequence;
    EXPECT_THAT(last_message_, HasSubstr("restored from; list its documents")) << sequence;
    EXPECT_EQ(SearchFrom(sequence), "FIELD_INVALID") << sequence;
  }
};

TEST_F(RestoredFeedTest, APlaceBehindTheBackupIsRefusedAndOneBeforeItGoesOn) {
  SetUpHub();
  const uint64_t before = Written("d1");
  const uint64_t kept = Written("d2");
  const v1::Backup backup = TakeBackup();
  std::vector<uint64_t> gone = {Written("d3"), Written("d4")};
  ASSERT_TRUE(RestoreOffline("offline", backup.name()).ok());
  StartOn("online");
  ResultOf<v1::RestoreResult>(StartRestore(backup.name()));
  // The second is of the same backup, and so goes on from where the first did.
  for (const char* data : {"offline", "online"}) {
    StartOn(data);
    // More than were lost: their numbers would be taken by now.
    const uint64_t first = Written("n1");
    for (const char* id : {"n2", "n3", "n4"}) ASSERT_GT(Written(id), first);
    for (const uint64_t sequence : gone) ExpectRefused(sequence);
    EXPECT_THAT(WatchFrom(before, 5),
                ::testing::ElementsAre(NameOf("d2"), NameOf("n1"), NameOf("n2"), NameOf("n3"),
                                       NameOf("n4")))
        << data;
    EXPECT_THAT(WatchFrom(kept, 1), ::testing::Contains(NameOf("n1"))) << data;
    EXPECT_THAT(WatchFrom(first, 3), ::testing::Contains(NameOf("n2"))) << data;
    EXPECT_EQ(SearchFrom(kept), "OK") << data;
    EXPECT_EQ(SearchFrom(first), "OK") << data;
    EXPECT_EQ(Verify().finding_count(), 0u) << data;
  }
  // A backup of a restored hub, restored once more: each gap is known.
  const uint64_t last = Written("n5");
  const v1::Backup second = TakeBackup();
  gone.push_back(Written("n6"));
  ASSERT_TRUE(RestoreOffline("again", second.name()).ok());
  StartOn("again");
  for (int i = 0; i < 3; ++i) Written("m1");
  for (const uint64_t sequence : gone) ExpectRefused(sequence);
  EXPECT_THAT(WatchFrom(last, 1), ::testing::ElementsAre(NameOf("m1"), NameOf("m1"), NameOf("m1")));
}

}  // namespace
}  // namespace cmkstore
