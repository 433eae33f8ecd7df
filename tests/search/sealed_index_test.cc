// What is on the disk of an index: nothing to read, nothing to change unnoticed, nothing lost by a
// kill.

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {
namespace {

using ::testing::ElementsAre;

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class SealedIndexTest : public IndexTest {
 protected:
  void Fill(int documents) {
    for (int i = 0; i < documents; ++i) {
      ASSERT_THAT(index().Apply({Put(absl::StrCat("doc", i),
                                     absl::StrCat(R"({"text": "canary quokka )", i, "\"}"),
                                     {{"team", "wombat"}})},
                                static_cast<uint64_t>(i) + 1),
                  IsOk());
    }
  }
};

TEST_F(SealedIndexTest, NoWordOfADocumentAndNoSqliteHeaderIsOnDisk) {
  Fill(50);
  for (bool open : {true, false}) {
    if (!open) index_->Close();
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      const std::string bytes = Bytes(entry.path());
      ++files;
      for (const char* word : {"quokka", "wombat", "doc1", "SQLite", "CREATE", "flows", "vision"}) {
        EXPECT_FALSE(absl::StrContains(bytes, word)) << word << " in " << entry.path();
      }
    }
    EXPECT_EQ(files, open ? 2u : 1u);
  }
}

TEST_F(SealedIndexTest, ReopensWithWhatItHad) {
  Fill(20);
  index_.reset();
  EXPECT_EQ(index().indexed_sequence(), 20u);
  EXPECT_EQ(Find("quokka").total, 20u);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
}

TEST_F(SealedIndexTest, AnotherHubOrAnotherKeyOpensNothing) {
  Fill(3);
  index_.reset();
  const HubUid other = random_.NewUid<HubUid>();
  EXPECT_THAT(SqliteHubIndex::Open(path(), other, key_, options_), FailsWith("INDEX_CORRUPT", ""));
  EXPECT_THAT(SqliteHubIndex::Open(path(), hub_, random_.Secret(32), options_),
              FailsWith("INDEX_CORRUPT", ""));
}

// As if the link had come between the look at the file and its opening.
TEST_F(SealedIndexTest, SqliteFollowsNoLink) {
  const std::string victim = dir_.path() + "/victim";
  WriteBytes(victim, "");
  std::filesystem::create_symlink(victim, path());
  const auto vfs = *SealedVfs::Create(hub_, key_);
  EXPECT_FALSE(Sqlite::Open(path(), vfs->name()).ok());
  EXPECT_EQ(vfs->TakeRefusal(), ELOOP);
  std::filesystem::remove(path());
  EXPECT_THAT(Sqlite::Open(path(), vfs->name()), IsOk());
}

TEST_F(SealedIndexTest, AWriteThatIsRefusedIsOnlyCalledFullWhereThereIsNoRoom) {
  Fill(1);
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status refused = index().Apply({Put("more", "{}")}, 2);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(refused, FailsWith("STORE_BUSY", "cannot be used: File too large"));
  EXPECT_THAT(index().Apply({Put("more", "{}")}, 2), IsOk());
}

TEST_F(SealedIndexTest, AFlippedBitAnywhereInTheMainFileIsNoticed) {
  Fill(30);
  index_.reset();
  const std::string good = Bytes(path());
  for (size_t at = 0; at < good.size(); at += 997) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    WriteBytes(path(), bad);
    auto opened = Open();
    if (opened.ok()) {
      EXPECT_THAT((*opened)->CheckIntegrity(), FailsWith("INDEX_CORRUPT", "")) << "byte " << at;
    } else {
      EXPECT_THAT(opened, FailsWith("INDEX_CORRUPT", "")) << "byte " << at;
    }
  }
  WriteBytes(path(), good);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
}

TEST_F(SealedIndexTest, SwappedPagesAreNoticed) {
  Fill(100);
  index_.reset();
  constexpr size_t kUnit = 4096 + 40;
  std::string bytes = Bytes(path());
  ASSERT_GT(bytes.size(), 6 * kUnit);
  std::swap_ranges(bytes.begin() + 3 * kUnit, bytes.begin() + 4 * kUnit, bytes.begin() + 4 * kUnit);
  WriteBytes(path(), bytes);
  auto opened = Open();
  EXPECT_THAT(opened.ok() ? (*opened)->CheckIntegrity() : opened.status(),
              FailsWith("INDEX_CORRUPT", ""));
}

TEST_F(SealedIndexTest, AKilledWriterLosesNothingThatWasApplied) {
  for (int round = 0; round < 20; ++round) {
    SqliteHubIndex::Destroy(path());
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto opened = Open();
      for (uint64_t i = 1;; ++i) {
        const auto id = absl::StrCat("doc", i);
        if (!(*opened)->Apply({Put(id, R"({"text": "canary"})")}, i).ok()) _exit(1);
        if (write(pipe_ends[1], &i, sizeof i) != sizeof i) _exit(1);
      }
    }
    close(pipe_ends[1]);
    uint64_t applied = 0;
    const uint64_t enough = 5 + static_cast<uint64_t>(round) * 23;
    while (applied < enough && read(pipe_ends[0], &applied, sizeof applied) == sizeof applied) {
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    while (read(pipe_ends[0], &applied, sizeof applied) == sizeof applied) {
    }
    close(pipe_ends[0]);
    ASSERT_GE(applied, enough) << "the writer ended by itself";
    index_.reset();
    EXPECT_GE(index().indexed_sequence(), applied);
    EXPECT_EQ(Find("canary").total, index().indexed_sequence());
    EXPECT_THAT(index().CheckIntegrity(), IsOk());
    index_.reset();
  }
}

TEST_F(SealedIndexTest, ATornLastFrameOfTheLogIsNoFrame) {
  Fill(10);
  // As a kill in the middle of a write leaves it: the log of a writer that is gone.
  const std::string log = Bytes(path() + "-wal"), main = Bytes(path());
  index_.reset();
  WriteBytes(path(), main);
  WriteBytes(path() + "-wal", log.substr(0, log.size() - 100));
  EXPECT_EQ(index().indexed_sequence(), 9u);
  EXPECT_THAT(index().CheckIntegrity(), IsOk());
}

// As a power failure leaves it: the log is synced only now and then, and its last pages reach the
// disk in any order, or in part.
TEST_F(SealedIndexTest, ATornFrameEndsTheLogAndIsWrittenOver) {
  Fill(12);
  const std::string log = Bytes(path() + "-wal"), main = Bytes(path());
  index_.reset();
  constexpr size_t kFrame = 24 + 4096 + 40;
  const size_t frames = log.size() / kFrame;
  ASSERT_GT(frames, 20u);
  for (const size_t torn : {frames / 2, frames - 3, frames - 1}) {
    std::string bad = log;
    for (size_t frame = torn; frame < frames; frame += 2) {
      bad.replace(72 + frame * kFrame + 1000, 2000, 2000, '\0');
    }
    WriteBytes(path(), main);
    WriteBytes(path() + "-wal", bad);
    const uint64_t kept = index().indexed_sequence();
    EXPECT_LT(kept, 12u);
    EXPECT_GT(kept, 0u);
    EXPECT_EQ(Find("quokka").total, kept);
    Fill(12);
    EXPECT_EQ(Find("quokka").total, 12u);
    EXPECT_THAT(index().CheckIntegrity(), IsOk());
    index_.reset();
    EXPECT_EQ(Find("quokka").total, 12u);
    EXPECT_THAT(index().CheckIntegrity(), IsOk());
    index_.reset();
  }
}

// A flip in the log: either its transaction and those behind it are taken for never committed, as
// after a crash, and followed again; or the index is lost. Never another answer.
TEST_F(SealedIndexTest, AFlippedBitInTheLogGivesAnEarlierStateOrALostIndex) {
  Fill(12);
  const std::string log = Bytes(path() + "-wal"), main = Bytes(path());
  index_.reset();
  int lost = 0, earlier = 0;
  for (size_t at = 0; at < log.size(); at += 487) {
    std::string bad = log;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    WriteBytes(path(), main);
    WriteBytes(path() + "-wal", bad);
    auto opened = Open();
    absl::Status status = opened.status();
    if (status.ok()) status = (*opened)->CheckIntegrity();
    SearchQuery query;
    query.text = "quokka";
    const auto found = status.ok() ? (*opened)->Search(query) : status;
    if (found.ok()) {
      EXPECT_EQ(found->total, found->indexed_sequence) << "byte " << at;
      earlier += found->indexed_sequence < 12 ? 1 : 0;
    } else {
      EXPECT_THAT(found, FailsWith("INDEX_CORRUPT", "")) << "byte " << at;
      ++lost;
    }
  }
  EXPECT_GT(earlier, 0);
  EXPECT_EQ(lost, 0) << "nothing of the log was in the main file yet";
}

TEST_F(SealedIndexTest, AnUnsealedOrForeignJournalOfTheSameNameChangesNothingUnnoticed) {
  Fill(12);
  index_.reset();
  WriteBytes(path() + "-journal", std::string(20'000, '\xd9'));
  auto opened = Open();
  if (opened.ok()) {
    index_ = *std::move(opened);
    EXPECT_EQ(Find("quokka").total, 12u);
    EXPECT_THAT(index_->CheckIntegrity(), IsOk());
  } else {
    EXPECT_THAT(opened, FailsWith("INDEX_CORRUPT", ""));
  }
}

TEST_F(SealedIndexTest, AfterCloseEveryCallIsRefused) {
  Fill(1);
  index_->Close();
  EXPECT_THAT(index_->Search({}), FailsWith("HUB_LOCKED", ""));
  EXPECT_THAT(index_->Apply({}, 2), FailsWith("HUB_LOCKED", ""));
  EXPECT_THAT(index_->Stats(), FailsWith("HUB_LOCKED", ""));
}

}  // namespace
// The text that is searched is made of the content again when it is shown.
TEST_F(SealedIndexTest, TheTextOfJsonIsNotStoredBesideIt) {
  constexpr int kDocuments = 500;
  std::vector<IndexChange> changes;
  for (int i = 0; i < kDocuments; ++i) {
    std::string text = "{\"text\": \"";
    while (text.size() < 1000) absl::StrAppend(&text, "w", (i * 37 + text.size()) % 5000, " ");
    changes.push_back(Put(absl::StrCat("d", i), text + "\"}"));
  }
  ASSERT_THAT(index().Apply(changes, kDocuments), IsOk());
  const SearchResult found = Find("w1000");
  ASSERT_FALSE(found.hits.empty());
  EXPECT_THAT(found.hits[0].snippet, ::testing::HasSubstr("w1000"));
  index_.reset();  // its log goes into the file
  const auto stats = index().Stats();
  ASSERT_THAT(stats, IsOk());
  EXPECT_EQ(stats->documents, static_cast<uint64_t>(kDocuments));
  EXPECT_LT(stats->file_bytes / kDocuments, 3000u);
}

}  // namespace cmkstore::search
