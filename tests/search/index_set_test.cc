// The set of indexes and its follower, over real files: what is open, what is rebuilt, what a kill
// leaves.

#include "search/index_set.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/errors.h"
#include "search/index_follower.h"
#include "tests/search/fake_change_source.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::search {
namespace {

class IndexSetTest : public ::testing::Test {
 protected:
  void OpenSet(size_t max_open = 256) {
    IndexSetOptions options;
    options.directory = dir_.path() + "/indexes";
    options.max_open = max_open;
    follower_.reset();
    set_.reset();
    auto set = IndexSet::Create(options, source_);
    ASSERT_THAT(set, IsOk());
    set_ = *std::move(set);
    follower_ = std::make_unique<IndexFollower>(
        IndexFollowerOptions(), *set_, source_, clock_,
        [this](HubUid) { absl::MutexLock wakes_who_waits(&mutex_); });
  }
  // Returns when the follower says that it is level, or why it is not.
  absl::Status Follow() {
    follower_->Hurry(hub_, *source_.LastSequence(hub_));
    return AwaitLevel();
  }
  absl::Status AwaitLevel() {
    const uint64_t last = *source_.LastSequence(hub_);
    absl::MutexLock lock(&mutex_);
    const auto settled = [&] {
      return follower_->IndexedSequence(hub_) >= last || !follower_->FailureOf(hub_).ok();
    };
    mutex_.Await(absl::Condition(&settled));
    return follower_->FailureOf(hub_);
  }
  uint64_t Count(const std::string& word) {
    SearchQuery query;
    query.text = word;
    auto index = set_->Open(hub_);
    EXPECT_THAT(index, IsOk());
    if (!index.ok()) return 0;
    auto found = (*index)->Search(query);
    EXPECT_THAT(found, IsOk());
    return found.ok() ? found->total : 0;
  }
  void Fill(int documents) {
    for (int i = 0; i < documents; ++i) {
      source_.Write(absl::StrCat("doc", i), R"({"text": "canary"})");
    }
  }
  std::string path() const { return dir_.path() + "/indexes/" + hub_.ToHex() + ".index"; }

  testing::TempDir dir_;
  crypto::SystemRandom random_;
  HubUid hub_ = random_.NewUid<HubUid>();
  FakeChangeSource source_{random_.Secret(32)};
  testing::VirtualClock clock_;
  absl::Mutex mutex_;
  std::unique_ptr<IndexSet> set_;
  std::unique_ptr<IndexFollower> follower_;
};

TEST_F(IndexSetTest, FollowsTheFeedFromWhereItStood) {
  OpenSet();
  Fill(1200);  // more than two batches
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 1200u);
  OpenSet();
  source_.Write("doc0", R"({"text": "other"})");
  source_.Remove("doc1");
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 1198u);
  EXPECT_EQ(Count("other"), 1u);
  EXPECT_EQ(follower_->Stats().applied, 2u) << "nothing was applied twice";
}

TEST_F(IndexSetTest, GathersChangesUnlessASearchWaits) {
  OpenSet();
  Fill(1);
  ASSERT_THAT(Follow(), IsOk());
  for (int i = 0; i < 3; ++i) {
    follower_->Notify(hub_, source_.Write(absl::StrCat("late", i), R"({"text": "late"})"));
    follower_->Tick();
  }
  EXPECT_EQ(source_.reads(), 1) << "too early";
  clock_.Advance(IndexFollowerOptions().refresh);
  follower_->Tick();
  ASSERT_THAT(AwaitLevel(), IsOk());
  EXPECT_EQ(source_.reads(), 2) << "all in one turn";
  source_.Write("wanted", R"({"text": "wanted"})");
  ASSERT_THAT(Follow(), IsOk()) << "although the clock stands still";
  EXPECT_EQ(Count("wanted"), 1u);
}

// What a crash has left behind: nobody tells of the commits that the index lacks.
TEST_F(IndexSetTest, AHubWhoseKeyIsAtHandIsBroughtLevelWithAllThatACrashLeft) {
  OpenSet();
  Fill(1200);  // more than a few batches
  follower_->LookAt(hub_);
  follower_->LookAt(hub_);
  EXPECT_EQ(source_.reads(), 0) << "not by the thread that the key came on";
  while (follower_->IndexedSequence(hub_) < 1200 && follower_->FailureOf(hub_).ok()) {
    clock_.Advance(IndexFollowerOptions().refresh);  // the last ones are gathered
    follower_->Tick();
    std::this_thread::yield();
  }
  ASSERT_THAT(follower_->FailureOf(hub_), IsOk());
  EXPECT_EQ(Count("canary"), 1200u);
  const int reads = source_.reads();
  follower_->LookAt(hub_);
  follower_->Tick();
  source_.Write("wanted", R"({"text": "wanted"})");
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(source_.reads(), reads + 1) << "what has been looked at is not looked at again";
}

TEST_F(IndexSetTest, IndexesAreLookedAtAFewAtATime) {
  OpenSet();
  std::vector<HubUid> hubs;
  for (size_t i = 0; i < IndexFollowerOptions().looks_per_tick + 1; ++i) {
    hubs.push_back(random_.NewUid<HubUid>());
    follower_->LookAt(hubs.back());
  }
  Fill(1);
  const auto seen = [&](size_t hub) { return follower_->IndexedSequence(hubs[hub]) == 1; };
  const auto all_but_the_last = [&] {
    for (size_t i = 0; i + 1 < hubs.size(); ++i) {
      if (!seen(i)) return false;
    }
    return true;
  };
  follower_->Tick();
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&all_but_the_last));
  }
  EXPECT_FALSE(seen(hubs.size() - 1));
  const auto the_last = [&] { return seen(hubs.size() - 1); };
  follower_->Tick();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&the_last));
}

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
    source_.Write(absl::StrCat("late", pages++), R"({"text": "canary"})");
  });
  ASSERT_THAT(follower_->Rebuild(hub_, [](uint64_t) { return absl::OkStatus(); }), IsOk());
  EXPECT_GT(pages, 1);
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 700u + static_cast<size_t>(pages));
  EXPECT_FALSE(set_->IsRebuilding(hub_));
  EXPECT_THAT((*set_->Open(hub_))->CheckIntegrity(), IsOk());
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

TEST_F(IndexSetTest, AnIndexAheadOfItsDocumentsIsRebuilt) {
  OpenSet();
  Fill(10);
  ASSERT_THAT(Follow(), IsOk());
  source_.PutBack(4);
  OpenSet();
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(follower_->Stats().rebuilds, 1u);
  EXPECT_EQ(follower_->Stats().damaged, 1u);
  EXPECT_EQ(Count("canary"), 6u);
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
      ASSERT_THAT(follower_->Rebuild(hub_, [](uint64_t) { return absl::OkStatus(); }), IsOk());
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
        if (!follower_->Rebuild(hub_, [](uint64_t) { return absl::OkStatus(); }).ok()) _exit(1);
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

TEST_F(IndexSetTest, AStopLeavesTheHubsInLineForTheNextStart) {
  OpenSet();
  Fill(3);
  absl::BlockingCounter held(2);
  absl::Notification go_on;
  source_.BeforeSnapshot([&] {
    held.DecrementCount();
    go_on.WaitForNotification();
  });
  const HubUid second = random_.NewUid<HubUid>();
  for (HubUid lost : {hub_, second}) follower_->Repair(lost);  // one for each thread
  held.Wait();
  constexpr int kInLine = 500;
  for (int i = 0; i < kInLine; ++i) follower_->Notify(random_.NewUid<HubUid>(), 3);
  const int before = source_.reads();
  std::thread stop([this] { follower_->Stop(); });
  go_on.Notify();
  stop.join();
  EXPECT_LT(source_.reads() - before, kInLine) << "a server with many hubs must stop in its time";
}

}  // namespace
}  // namespace cmkstore::search
