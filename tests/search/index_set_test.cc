// The set of indexes over real files: what is open, what is rebuilt, what a kill leaves.

#include "search/index_set.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "search/index_files.h"
#include "tests/search/index_set_fixture.h"

namespace cmkstore::search {
namespace {

TEST_F(IndexSetTest, ClosesTheLeastRecentlyUsedButNoneThatIsInUse) {
  OpenSet(/*max_open=*/2);
  std::vector<HubUid> hubs;
  for (int i = 0; i < 4; ++i) hubs.push_back(random_.NewUid<HubUid>());
  const auto held = *set_->Open(hubs[0]);
  for (int i = 1; i < 4; ++i) ASSERT_THAT(set_->Open(hubs[static_cast<size_t>(i)]), IsOk());
  EXPECT_EQ(set_->Stats().open, 2u);
  EXPECT_EQ(set_->Stats().evicted, 2u);
  EXPECT_THAT(held->Apply({}, 1), IsOk()) << "in use, so still open";
  EXPECT_EQ(*set_->Open(hubs[0]), held);
  EXPECT_TRUE(set_->Close(hubs[0])) << "a lock reaches it";
  EXPECT_THAT(held->Apply({}, 2), FailsWith("HUB_LOCKED", ""));
}

TEST_F(IndexSetTest, AFileIsOfTheHubThatItsNameSays) {
  const std::string uid = hub_.ToHex();
  for (const char* suffix : {"", "-wal", "-journal", ".rebuild", ".rebuild-wal"}) {
    EXPECT_EQ(HubOfIndexFile(absl::StrCat(uid, ".index", suffix)), hub_) << suffix;
  }
  const std::string upper = "ABCDEFABCDEFABCDEFABCDEFABCDEFAB";
  for (const std::string& name :
       {uid, uid + ".index.old", uid + ".index-shm", uid.substr(1) + ".index", "0" + uid + ".index",
        upper + ".index", std::string(32, 'x') + ".index", std::string(".index")}) {
    EXPECT_EQ(HubOfIndexFile(name), std::nullopt) << name;
  }
}

TEST_F(IndexSetTest, ATornPageIsNoDamageWhileTheLogIsThereThatMakesItGood) {
  OpenSet();
  Fill(3);
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(set_->DamageOf(random_.NewUid<HubUid>()), std::nullopt);
  EXPECT_EQ(set_->DamageOf(hub_), "") << "it is open";
  ASSERT_TRUE(set_->Close(hub_));
  EXPECT_EQ(set_->DamageOf(hub_), "");
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) + 100);
  EXPECT_NE(set_->DamageOf(hub_), "");
  ASSERT_TRUE(WriteFileDurably(path() + "-wal", "a log"));
  EXPECT_EQ(set_->DamageOf(hub_), "");
}

TEST_F(IndexSetTest, WhatIsNoFileInAnIndexsPlaceIsNeitherFollowedNorKept) {
  const std::string victim = dir_.path() + "/victim", directory = dir_.path() + "/elsewhere";
  ASSERT_TRUE(WriteFileDurably(victim, "precious"));
  std::filesystem::create_directory(directory);
  OpenSet();
  Fill(3);
  ASSERT_THAT(Follow(), IsOk());
  const std::vector<std::function<void(const std::string&)>> put = {
      [&](const std::string& name) { std::filesystem::create_symlink(victim, name); },
      [&](const std::string& name) { std::filesystem::create_symlink(victim + "2", name); },
      [&](const std::string& name) { std::filesystem::create_symlink(directory, name); },
      [](const std::string& name) { std::filesystem::create_directory(name); },
      [](const std::string& name) { ASSERT_EQ(mkfifo(name.c_str(), 0600), 0); },
  };
  for (const char* suffix : {"", "-wal", "-journal"}) {
    for (size_t i = 0; i < put.size(); ++i) {
      SCOPED_TRACE(absl::StrCat(suffix, " ", i));
      follower_.reset();
      set_.reset();
      const std::string name = path() + suffix;
      std::filesystem::remove(name);
      put[i](name);
      OpenSet();
      EXPECT_EQ(set_->DamageOf(hub_), *suffix == '\0' ? "it is no file" : "");
      ASSERT_THAT(Follow(), IsOk());
      EXPECT_EQ(set_->Stats().rebuilt, 1u);
      EXPECT_EQ(Count("canary"), 3u);
      EXPECT_FALSE(IsNoPlainFile(name));
    }
  }
  EXPECT_EQ(ReadFile(victim), "precious");
  EXPECT_FALSE(std::filesystem::exists(victim + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(victim + "2"));
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST_F(IndexSetTest, ADirectoryWithFilesInAnIndexsPlaceStaysAndIsTold) {
  OpenSet();
  Fill(3);
  std::filesystem::create_directory(path());
  ASSERT_TRUE(WriteFileDurably(path() + "/kept", "by somebody"));
  const std::string log = dir_.path() + "/log";
  ASSERT_TRUE(SetLogFile(log));
  EXPECT_THAT(Follow(), FailsWith("STORE_BUSY", "cannot be removed: Directory not empty"));
  ASSERT_TRUE(SetLogFile("/dev/stderr"));
  EXPECT_THAT(*ReadFile(log), ::testing::HasSubstr("\"path\":\"" + path() + "\""));
  EXPECT_EQ(ReadFile(path() + "/kept"), "by somebody");
  std::filesystem::remove(path() + "/kept");
  ASSERT_TRUE(AwaitRebuilt(1));
  EXPECT_EQ(Count("canary"), 3u);
}

TEST_F(IndexSetTest, ADirectoryThatCannotBeMadeIsTold) {
  ASSERT_TRUE(WriteFileDurably(dir_.path() + "/indexes", "a file"));
  IndexSetOptions options;
  options.directory = dir_.path() + "/indexes";
  EXPECT_THAT(IndexSet::Create(options, source_),
              FailsWith("STATE_INVALID", options.directory + " cannot hold the search indexes: "
                                                             "Not a directory"));
}

TEST_F(IndexSetTest, NothingIsKeptOfAHubThatNobodyUses) {
  OpenSet(/*max_open=*/2);
  std::vector<HubUid> hubs;
  for (int i = 0; i < 5; ++i) {
    hubs.push_back(random_.NewUid<HubUid>());
    ASSERT_THAT(set_->Open(hubs.back()), IsOk());
  }
  EXPECT_EQ(set_->Stats().slots, 2u) << "of those that are open";
  EXPECT_FALSE(set_->IsRebuilding(hubs[0]));
  set_->Close(hubs[3]);
  EXPECT_EQ(set_->Stats().slots, 1u);
  auto held = *set_->Open(hubs[0]);
  set_->Destroy(hubs[0]);
  EXPECT_THAT(held->Search({}), FailsWith("HUB_LOCKED", ""));
  source_.Refuse(HubLocked());
  EXPECT_THAT(set_->Open(hubs[1]), FailsWith("HUB_LOCKED", ""));
  EXPECT_EQ(set_->Stats().slots, 1u);
}

TEST_F(IndexSetTest, ALockedHubIsNotOpenedUntilItsKeyIsBack) {
  OpenSet();
  Fill(3);
  ASSERT_THAT(Follow(), IsOk());
  source_.Refuse(HubLocked());
  EXPECT_TRUE(set_->Close(hub_));
  EXPECT_THAT(set_->Open(hub_), FailsWith("HUB_LOCKED", ""));
  source_.Write("late", R"({"text": "canary"})");
  EXPECT_THAT(Follow(), FailsWith("HUB_LOCKED", ""));
  EXPECT_EQ(follower_->Stats().stopped, 1u);
  source_.Refuse(absl::OkStatus());
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 4u);
}

TEST_F(IndexSetTest, TheOldIndexServesWhileAnotherIsBuiltAndWritesMeanwhileAreNotLost) {
  OpenSet();
  Fill(700);
  ASSERT_THAT(Follow(), IsOk());
  int pages = 0;
  source_.BeforeSnapshot([&] {
    EXPECT_TRUE(set_->IsRebuilding(hub_));
    EXPECT_EQ(Count("canary"), 700u) << "the old one";
    // Sorts before what the snapshot has passed, so that it misses it.
    source_.Write(absl::StrCat("a-late", pages++), R"({"text": "canary"})");
  });
  follower_->Stop();  // it is the rebuild that has what was written meanwhile
  ASSERT_THAT(Rebuild(), IsOk());
  EXPECT_GT(pages, 1);
  EXPECT_EQ(Count("canary"), 700u + static_cast<size_t>(pages));
  EXPECT_FALSE(set_->IsRebuilding(hub_));
  EXPECT_THAT((*set_->Open(hub_))->CheckIntegrity(), IsOk());
}

TEST_F(IndexSetTest, WhoHoldsAnIndexThatIsSwappedMayComeAgain) {
  OpenSet();
  Fill(3);
  ASSERT_THAT(Follow(), IsOk());
  const auto held = *set_->Open(hub_);
  ASSERT_THAT(Rebuild(), IsOk());
  EXPECT_THAT(held->Search({}), FailsWith("STORE_BUSY", ""));
  EXPECT_THAT(held->Apply({}, 4), FailsWith("STORE_BUSY", ""));
  EXPECT_EQ(Count("canary"), 3u);
}

TEST_F(IndexSetTest, ARebuildThatIsEndedLeavesTheOldIndex) {
  OpenSet();
  Fill(10);
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_THAT(follower_->Rebuild(hub_, [](uint64_t) { return HubLocked(); }),
              FailsWith("HUB_LOCKED", ""));
  EXPECT_EQ(Count("canary"), 10u);
  EXPECT_FALSE(std::filesystem::exists(path() + ".rebuild"));
}

TEST_F(IndexSetTest, ATruncatedFileIsRebuiltAndNeverAnswersWrong) {
  OpenSet();
  Fill(300);
  ASSERT_THAT(Follow(), IsOk());
  follower_.reset();
  set_.reset();
  const auto size = std::filesystem::file_size(path());
  for (const uintmax_t left : {uintmax_t{0}, uintmax_t{100}, uintmax_t{4136}, size / 2, size - 1}) {
    std::filesystem::resize_file(path(), left);
    OpenSet();
    ASSERT_THAT(Follow(), IsOk()) << left;
    // What SQLite did not look at while it followed, a search finds, and the index is rebuilt.
    SearchQuery query;
    query.text = "canary";
    const auto found = (*set_->Open(hub_))->Search(query);
    if (found.ok()) {
      EXPECT_EQ(found->total, 300u) << left;
    } else {
      EXPECT_THAT(found, FailsWith("INDEX_CORRUPT", "")) << left;
      ASSERT_THAT(Rebuild(), IsOk());
    }
    EXPECT_EQ(Count("canary"), 300u) << left;
    EXPECT_THAT((*set_->Open(hub_))->CheckIntegrity(), IsOk());
    follower_.reset();
    set_.reset();
  }
}

// The whole file put back to an earlier state is an index that is behind; it catches up.
TEST_F(IndexSetTest, AFileRolledBackToAnOlderCopyCatchesUp) {
  OpenSet();
  Fill(50);
  ASSERT_THAT(Follow(), IsOk());
  follower_.reset();
  set_.reset();
  std::filesystem::copy_file(path(), path() + ".old");
  OpenSet();
  source_.Remove("doc7");
  source_.Write("new", R"({"text": "canary"})");
  source_.Write("doc8", R"({"text": "changed"})");
  ASSERT_THAT(Follow(), IsOk());
  follower_.reset();
  set_.reset();
  std::filesystem::rename(path() + ".old", path());
  OpenSet();
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 49u);
  EXPECT_EQ(Count("changed"), 1u);
}

// A process that follows, rebuilds and swaps without end is killed at any moment: what is found
// afterwards is the old index or the new one, whole, and catches up.
TEST_F(IndexSetTest, AKillInTheMiddleOfRebuildAndSwapLeavesAWholeIndex) {
  Fill(60);
  for (int round = 0; round < 25; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      OpenSet();
      for (char rebuilt = 0;; ++rebuilt) {
        if (!Follow().ok()) _exit(1);
        if (!Rebuild().ok()) _exit(1);
        if (write(pipe_ends[1], &rebuilt, 1) != 1) _exit(1);
      }
    }
    close(pipe_ends[1]);
    char rebuilt = 0;
    for (int i = 0; i <= round % 3; ++i) ASSERT_EQ(read(pipe_ends[0], &rebuilt, 1), 1);
    usleep(static_cast<useconds_t>(round) * 400);  // another point of the next one
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(pipe_ends[0]);
    source_.Write(absl::StrCat("round", round), R"({"text": "canary"})");
    OpenSet();
    ASSERT_THAT(Follow(), IsOk());
    EXPECT_EQ(follower_->Stats().rebuilds, 0u) << "found whole";
    EXPECT_EQ(Count("canary"), source_.documents());
    EXPECT_THAT((*set_->Open(hub_))->CheckIntegrity(), IsOk());
    follower_.reset();  // no threads across the next fork
    set_.reset();
  }
}

}  // namespace
}  // namespace cmkstore::search
