// VerifyIntegrity of the search indexes' files, of which no key is needed.

#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

using ::testing::HasSubstr;

class IndexFilesTest : public BackupFixture {
 protected:
  IndexFilesTest() {
    SetUpHub();
    EXPECT_EQ(ReasonOf(Put("d1", R"({"v": "canary"})", &stored_)), "OK");
    EXPECT_EQ(HitsOfCanary(), 1);
    Lock();  // closes the index, and nobody opens it again
    for (const auto& file : std::filesystem::directory_iterator(directory())) index_ = file.path();
  }
  std::string directory() const { return data_dir() + "/indexes"; }
  std::string UidOfIndex() const { return std::filesystem::path(index_).stem(); }
  int HitsOfCanary() {
    v1::SearchRequest search;
    search.set_parent(kHub);
    search.set_query("canary");
    search.set_min_sequence(stored_.sequence());
    v1::SearchResponse found;
    std::string reason;
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    do {  // until it is rebuilt
      reason = ReasonOf(search_->Search(As("reader").get(), search, &found));
    } while (reason == "INDEX_CORRUPT" && absl::Now() < give_up);
    EXPECT_EQ(reason, "OK");
    return found.hits_size();
  }
  v1::IntegrityFinding OnlyFinding() {
    const v1::VerifyIntegrityResult result = Verify();
    EXPECT_EQ(result.finding_count(), 1u) << result.DebugString();
    const v1::IntegrityFinding finding =
        result.findings_size() > 0 ? result.findings(0) : v1::IntegrityFinding();
    EXPECT_EQ(finding.kind(), v1::INTEGRITY_FINDING_KIND_INDEX);
    return finding;
  }
  void Write(const std::string& name) {
    ASSERT_TRUE(WriteFileDurably(directory() + "/" + name, "anything"));
  }

  v1::Document stored_;
  std::string index_;
};

TEST_F(IndexFilesTest, AnIndexThatIsWholeOrNotBuiltYetIsNoFinding) {
  v1::VerifyIntegrityResult result = Verify();
  EXPECT_EQ(result.finding_count(), 0u) << result.DebugString();
  EXPECT_EQ(result.indexes(), 1u);
  EXPECT_EQ(result.unbuilt_indexes(), 0u);
  ASSERT_TRUE(std::filesystem::remove(index_));
  result = Verify();
  EXPECT_EQ(result.finding_count(), 0u) << result.DebugString();
  EXPECT_EQ(result.indexes(), 0u);
  EXPECT_EQ(result.unbuilt_indexes(), 1u);
}

TEST_F(IndexFilesTest, AFileOfOddSizeIsDamageThatIsMendedWhenTheHubIsUsed) {
  std::filesystem::resize_file(index_, std::filesystem::file_size(index_) - 1);
  const v1::IntegrityFinding finding = OnlyFinding();
  EXPECT_EQ(finding.hub(), kHub);
  EXPECT_EQ(finding.hub_uid(), UidOfIndex());
  EXPECT_THAT(finding.what(), HasSubstr("no whole pages of 4136"));
  EXPECT_THAT(finding.what(), HasSubstr("cmkctl index rebuild"));
  Unlock();
  EXPECT_EQ(HitsOfCanary(), 1);
  EXPECT_EQ(Verify().finding_count(), 0u);
}

TEST_F(IndexFilesTest, AFileThatADiskGivesBackAsZerosIsDamage) {
  ASSERT_TRUE(WriteFileDurably(index_, std::string(4136, '\0')));
  EXPECT_THAT(OnlyFinding().what(), HasSubstr("its first page is not there"));
}

TEST_F(IndexFilesTest, AFileThatBelongsToNoHubIsFound) {
  const std::string uid = "0123456789abcdef0123456789abcdef";
  Write(uid + ".index");
  Write(uid + ".index-wal");
  const v1::IntegrityFinding orphan = OnlyFinding();
  EXPECT_EQ(orphan.hub_uid(), uid);
  EXPECT_THAT(orphan.what(), HasSubstr("is of no hub of this server"));
  std::filesystem::remove(directory() + "/" + uid + ".index");
  std::filesystem::remove(directory() + "/" + uid + ".index-wal");
  Write("notes.txt");
  EXPECT_THAT(OnlyFinding().what(), HasSubstr("indexes/notes.txt is no file of an index"));
}

TEST_F(IndexFilesTest, WhatKeepsAnIndexFromBeingRebuiltIsTold) {
  std::filesystem::remove(index_);
  std::filesystem::create_directory(index_);
  Write(UidOfIndex() + ".index/kept");
  Unlock();
  v1::GetSearchIndexRequest request;
  request.set_name(absl::StrCat(kHub, "/searchIndex"));
  v1::SearchIndex index;
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (index.failure_reason().empty() && absl::Now() < give_up) {
    ASSERT_EQ(ReasonOf(search_->GetSearchIndex(As("reader").get(), request, &index)), "OK");
  }
  EXPECT_EQ(index.state(), v1::SearchIndex::REBUILDING);
  EXPECT_EQ(index.failure_reason(), "STORE_BUSY");
  EXPECT_THAT(index.failure_message(), HasSubstr("Directory not empty"));
  EXPECT_TRUE(index.has_next_try_time());
}

TEST_F(IndexFilesTest, AnIndexThatIsInUseIsNotCalledDamaged) {
  Unlock();
  EXPECT_EQ(HitsOfCanary(), 1);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("more", i), R"({"v": "more"})")), "OK");
    if (i % 5 != 0) continue;
    EXPECT_EQ(Verify().finding_count(), 0u);
  }
}

}  // namespace
}  // namespace cmkstore
