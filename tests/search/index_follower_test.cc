// What keeps indexes level: turns, pauses, failures, and what it does about damage.

#include "search/index_follower.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/errors.h"
#include "tests/search/index_set_fixture.h"

namespace cmkstore::search {
namespace {

using IndexFollowerTest = IndexSetTest;

TEST_F(IndexFollowerTest, FollowsTheFeedFromWhereItStood) {
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

TEST_F(IndexFollowerTest, GathersChangesUnlessASearchWaits) {
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

TEST_F(IndexFollowerTest, NumbersThatARestoreLeftOutAreNoLag) {
  OpenSet();
  Fill(1000);
  constexpr uint64_t kFar = uint64_t{1} << 50;
  source_.SkipTo(kFar);
  Fill(5);
  // Before each turn: what the one before has left.
  std::vector<uint64_t> lags;
  source_.BeforeRead([&] { lags.push_back(follower_->Stats().lag); });
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_THAT(lags, ::testing::ElementsAre(1u, 1005 - 256, 1005 - 2 * 256, 1005 - 3 * 256));
  EXPECT_EQ(follower_->IndexedSequence(hub_), kFar + 5);
  EXPECT_EQ(follower_->Stats().lag, 0u);
}

TEST_F(IndexFollowerTest, AHubThatIsGoneIsForgottenAlsoInTheMiddleOfItsTurn) {
  OpenSet();
  Fill(1);
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(follower_->Stats().hubs, 1u);
  follower_->Destroy(hub_);
  EXPECT_EQ(follower_->Stats().hubs, 0u);
  EXPECT_EQ(follower_->IndexedSequence(hub_), 0u);
  EXPECT_EQ(set_->FileBytes(hub_), 0);
  follower_->LookAt(hub_);
  follower_->Destroy(hub_);
  follower_->Tick();
  EXPECT_EQ(follower_->Stats().hubs, 0u) << "it is not looked at any more";

  absl::Notification destroyed;
  source_.BeforeRead([&] {
    if (destroyed.HasBeenNotified()) return;
    follower_->Destroy(hub_);
    destroyed.Notify();
  });
  follower_->Hurry(hub_, 1);
  destroyed.WaitForNotification();
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (follower_->Stats().hubs > 0 && absl::Now() < give_up) std::this_thread::yield();
  EXPECT_EQ(follower_->Stats().hubs, 0u);
}

// What a crash has left behind: nobody tells of the commits that the index lacks.
TEST_F(IndexFollowerTest, AHubWhoseKeyIsAtHandIsBroughtLevelWithAllThatACrashLeft) {
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

TEST_F(IndexFollowerTest, IndexesAreLookedAtAFewAtATime) {
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

TEST_F(IndexFollowerTest, ASwapInTheMiddleOfATurnDoesNotStopTheFollower) {
  OpenSet();
  Fill(3);
  ASSERT_THAT(Follow(), IsOk());
  int reads = 0;
  source_.BeforeRead([&] {
    if (++reads > 1) return;
    EXPECT_THAT(Rebuild(), IsOk());
  });
  source_.Write("late", R"({"text": "canary"})");
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 4u);
  follower_->Stop();  // waits for the turn
  EXPECT_EQ(follower_->Stats().failures, 0u);
  EXPECT_EQ(follower_->Stats().stopped, 0u);
}

TEST_F(IndexFollowerTest, ACommitThatComesInSeveralBatchesIsAppliedWhole) {
  OpenSet();
  Fill(2);
  std::vector<std::string> ids;
  for (int i = 0; i < 25; ++i) ids.push_back(absl::StrCat("together", i));
  source_.WriteTogether(ids, R"({"text": "canary"})");
  source_.GiveAtMost(10);
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 27u);
  EXPECT_EQ(source_.reads(), 3);
  EXPECT_EQ((*set_->Open(hub_))->indexed_sequence(), 3u);
}

TEST_F(IndexFollowerTest, ADocumentThatDoesNotOpenIsLeftOutAndTold) {
  OpenSet();
  Fill(3);
  source_.Damage("doc1");
  ASSERT_THAT(Follow(), IsOk());
  EXPECT_EQ(Count("canary"), 2u);
  EXPECT_EQ((*set_->Open(hub_))->Stats()->unreadable, 1u);
  ASSERT_THAT(Rebuild(), IsOk());
  EXPECT_EQ((*set_->Open(hub_))->Stats()->unreadable, 1u);
}

TEST_F(IndexFollowerTest, ARepairThatIsAskedForRightAfterATurnIsMade) {
  OpenSet();
  Fill(1);
  ASSERT_THAT(Follow(), IsOk());
  follower_->Repair(hub_);
  follower_->Repair(hub_);
  EXPECT_TRUE(AwaitRebuilt(1));
  EXPECT_EQ(follower_->Stats().damaged, 1u);
}

TEST_F(IndexFollowerTest, AnIndexThatCouldNotBeRebuiltStaysLostUntilItIs) {
  OpenSet();
  Fill(1);
  ASSERT_THAT(Follow(), IsOk());
  source_.Refuse(VaultUnreachable("it is away", absl::Seconds(1)));
  clock_.Advance(IndexFollowerOptions().refresh);
  follower_->Repair(hub_);
  const auto failed = [&] { return !follower_->FailureOf(hub_).ok(); };
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&failed));
  }
  source_.Refuse(absl::OkStatus());
  EXPECT_TRUE(AwaitRebuilt(1));
  EXPECT_EQ(follower_->Stats().damaged, 1u) << "once, however often it is tried";
}

TEST_F(IndexFollowerTest, IndexesThatAreRebuiltKeepNoOtherHubBehind) {
  OpenSet();
  Fill(3);
  absl::Notification begun, go_on;
  source_.BeforeSnapshot([&] {
    if (!begun.HasBeenNotified()) begun.Notify();
    go_on.WaitForNotification();
  });
  std::vector<HubUid> lost;
  for (size_t i = 0; i <= IndexFollowerOptions().threads; ++i) {
    lost.push_back(random_.NewUid<HubUid>());
    follower_->Repair(lost.back());
  }
  begun.WaitForNotification();
  EXPECT_THAT(Follow(), IsOk());
  go_on.Notify();
  EXPECT_TRUE(AwaitRebuilt(lost.size()));
}

TEST_F(IndexFollowerTest, ARepairGoesOnWhereARefusedKeyHadStoppedTheHub) {
  OpenSet();
  Fill(1);
  source_.Refuse(HubLocked());
  EXPECT_THAT(Follow(), FailsWith("HUB_LOCKED", ""));
  source_.Refuse(absl::OkStatus());
  follower_->Repair(hub_);
  EXPECT_TRUE(AwaitRebuilt(1));
}

// As of a hub that is undeleted: nobody writes to it.
TEST_F(IndexFollowerTest, AHubThatWasRefusedIsFollowedAgainWhenItsKeysAreAtHand) {
  OpenSet();
  Fill(1);
  ASSERT_THAT(Follow(), IsOk());
  source_.Write("late", R"({"text": "late"})");
  source_.Refuse(StateInvalid("the hub is deleted"));
  set_->Close(hub_);
  EXPECT_THAT(Follow(), FailsWith("STATE_INVALID", ""));
  source_.Refuse(absl::OkStatus());
  follower_->LookAt(hub_);
  follower_->Tick();
  ASSERT_THAT(AwaitLevel(), IsOk());
  EXPECT_EQ(Count("late"), 1u);
}

TEST_F(IndexFollowerTest, KeysThatComeBackWhileATurnIsRefusedThemAreNotMissed) {
  OpenSet();
  Fill(1);
  source_.Refuse(HubLocked());
  source_.OnRefusal([this] {
    source_.Refuse(absl::OkStatus());
    follower_->LookAt(hub_);
  });
  EXPECT_THAT(Follow(), FailsWith("HUB_LOCKED", ""));
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (follower_->IndexedSequence(hub_) < 1 && absl::Now() < give_up) {
    clock_.Advance(IndexFollowerOptions().retry_after);
    follower_->Tick();
    std::this_thread::yield();
  }
  EXPECT_EQ(follower_->IndexedSequence(hub_), 1u);
}

TEST_F(IndexFollowerTest, TheIndexOfAHubWhoseKeysAreGoneIsClosedOnceNobodyUsesIt) {
  OpenSet();
  Fill(1);
  ASSERT_THAT(Follow(), IsOk());
  auto held = *set_->Open(hub_);
  const auto closed_in_time = [&] {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (set_->Stats().open > 0 && absl::Now() < give_up) {
      follower_->Tick();
      std::this_thread::yield();
    }
    return set_->Stats().open == 0;
  };
  follower_->Rest(hub_);
  for (int i = 0; i < 100; ++i) follower_->Tick();
  EXPECT_THAT(held->Search({}), IsOk()) << "in use";
  held.reset();
  EXPECT_TRUE(closed_in_time());
  EXPECT_EQ(Count("canary"), 1u) << "with a key it is opened again";
}

TEST_F(IndexFollowerTest, ARebuildEndsAFailure) {
  OpenSet();
  Fill(1);
  source_.Refuse(VaultUnreachable("it is away", absl::Seconds(1)));
  EXPECT_THAT(Follow(), FailsWith("VAULT_UNREACHABLE", ""));
  source_.Refuse(absl::OkStatus());
  ASSERT_THAT(Rebuild(), IsOk());
  EXPECT_THAT(follower_->FailureOf(hub_), IsOk());
  EXPECT_EQ(follower_->IndexedSequence(hub_), 1u);
}

TEST_F(IndexFollowerTest, AnIndexAheadOfItsDocumentsIsRebuilt) {
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

TEST_F(IndexFollowerTest, AStopCutsOffWhatIsUnderWay) {
  OpenSet();
  Fill(3);
  ASSERT_THAT(Follow(), IsOk());
  absl::Notification begun;
  source_.BeforeSnapshot([&] {
    begun.Notify();
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (set_->Stats().open > 0 && absl::Now() < give_up) std::this_thread::yield();
  });
  follower_->Repair(hub_);
  clock_.Advance(IndexFollowerOptions().refresh);
  follower_->Tick();
  begun.WaitForNotification();
  follower_->Stop();
  EXPECT_EQ(set_->Stats().rebuilt, 0u);
  EXPECT_EQ(follower_->Stats().failures, 0u) << "it is taken up again by the next start";
}

TEST_F(IndexFollowerTest, AStopLeavesTheHubsInLineForTheNextStart) {
  OpenSet();
  Fill(3);
  absl::BlockingCounter held(2);
  absl::Notification go_on;
  std::atomic<int> begun = 0;
  source_.BeforeRead([&] {
    if (++begun <= 2) held.DecrementCount();
    go_on.WaitForNotification();
  });
  const HubUid second = random_.NewUid<HubUid>();
  for (HubUid busy : {hub_, second}) follower_->Notify(busy, 3);  // one for each thread
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
