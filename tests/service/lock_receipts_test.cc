// What is left of a lock: at once, when the store refuses, and for the next process.

#include "service/lock_receipts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "service/apply_blocking.h"
#include "store/tables.h"
#include "tests/testing/matchers.h"
#include "tests/testing/refusing_engine.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using testing::IsOk;

class LockReceiptsTest : public ::testing::Test {
 protected:
  LockReceiptsTest() { SetLogFile(dir_.path() + "/log.jsonl"); }
  ~LockReceiptsTest() override { SetLogFile("/dev/stderr"); }

  static LockReceipts::Actions Actions() {
    const auto nothing = [](HubUid) {};
    return {.name_of = [](HubUid) { return std::string("h1"); },
            .close_index = [](HubUid) { return true; },
            .follow_again = nothing,
            .look_at_index = nothing,
            .rest_index = nothing,
            .wake_streams = nothing,
            .count_unwrap = nothing};
  }
  keycache::LockReport Report(bool by_push, uint32_t keys_wiped = 1) {
    keycache::LockReport report;
    report.hub = hub_;
    report.by_push = by_push;
    report.cause = by_push ? "locked by its key administrator" : "KeyDisabled";
    report.detected_at = clock_.WallNow();
    report.last_success = clock_.WallNow() - absl::Seconds(20);
    report.locked_at = clock_.WallNow() + absl::Milliseconds(1);
    report.keys_wiped = keys_wiped;
    return report;
  }
  // As a process after this one finds it; all commits so far have ended.
  std::optional<storage::v1::LockRecord> OnDisk() {
    const bool refused = std::exchange(engine_.refuse, false);
    EXPECT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), store::WriteSet()), IsOk());
    engine_.refuse = refused;
    return LockReceipts(engine_, clock_, Actions()).Last(hub_);
  }

  void Unlock() {
    store::WriteSet writes;
    const auto unlocked = receipts_.AddPushUnlock(hub_, clock_.WallNow(), writes);
    ASSERT_TRUE(unlocked.has_value());
    ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)), IsOk());
    receipts_.Settle(hub_, *unlocked);
  }

  testing::TempDir dir_;
  testing::VirtualClock clock_;
  testing::RefusingEngine engine_;
  const HubUid hub_ = *HubUid::FromBytes(std::string(16, 'h'));
  LockReceipts receipts_{engine_, clock_, Actions()};
};

TEST_F(LockReceiptsTest, TheVaultsLockStandsForTheNextProcessUntilTheKeyWorks) {  // KL-12
  EXPECT_EQ(OnDisk(), std::nullopt);
  receipts_.OnLocked(Report(/*by_push=*/false, 3));
  const auto found = OnDisk();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->keys_wiped(), 3u);
  EXPECT_EQ(found->cause(), "KeyDisabled");
  EXPECT_TRUE(found->index_closed());
  EXPECT_EQ(found->lock_time_micros() - found->detect_time_micros(), 1000);
  LockReceipts next(engine_, clock_, Actions());
  EXPECT_TRUE(next.StandingDenial(hub_).has_value());
  clock_.Advance(absl::Seconds(5));
  next.OnUnlocked(hub_);
  EXPECT_FALSE(next.StandingDenial(hub_).has_value());
  ASSERT_TRUE(OnDisk().has_value()) << "what it did stays to be read";
  EXPECT_EQ(OnDisk()->end_time_micros(), absl::ToUnixMicros(clock_.WallNow()));
}

TEST_F(LockReceiptsTest, WhatTheStoreRefusesIsWrittenWhenItTakesItAgain) {
  engine_.refuse = true;
  receipts_.OnLocked(Report(/*by_push=*/false));
  EXPECT_TRUE(receipts_.StandingDenial(hub_).has_value()) << "known all the same";
  receipts_.Tick();
  clock_.Advance(absl::Seconds(2));
  receipts_.Tick();
  EXPECT_EQ(OnDisk(), std::nullopt);
  engine_.refuse = false;
  clock_.Advance(absl::Seconds(2));
  receipts_.Tick();
  EXPECT_TRUE(OnDisk().has_value());
}

TEST_F(LockReceiptsTest, APushLockIsBegunWithItsHubAndCompletedByWhatItDid) {
  store::WriteSet lock;
  const auto locked = receipts_.AddPushLock(hub_, clock_.WallNow(), lock);
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(lock)), IsOk());
  receipts_.Settle(hub_, locked);
  EXPECT_TRUE(OnDisk()->by_push()) << "a crash here leaves this much";
  EXPECT_EQ(OnDisk()->lock_time_micros(), 0);
  receipts_.OnLocked(Report(/*by_push=*/true, 2));
  EXPECT_EQ(OnDisk()->keys_wiped(), 2u);
  const std::string first = OnDisk()->SerializeAsString();
  EXPECT_FALSE(receipts_.StandingDenial(hub_).has_value()) << "nobody's vault refused";

  // The next process knows nothing of the hub, and LockHub is called again.
  LockReceipts next(engine_, clock_, Actions());
  clock_.Advance(absl::Hours(1));
  next.OnLocked(Report(/*by_push=*/true, 0));
  EXPECT_EQ(OnDisk()->SerializeAsString(), first);
  store::WriteSet unlock, again;
  const auto unlocked = next.AddPushUnlock(hub_, clock_.WallNow(), unlock);
  ASSERT_TRUE(unlocked.has_value());
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(unlock)), IsOk());
  next.Settle(hub_, *unlocked);
  EXPECT_NE(OnDisk()->end_time_micros(), 0);
  EXPECT_FALSE(next.AddPushUnlock(hub_, clock_.WallNow(), again).has_value()) << "it has ended";
}

TEST_F(LockReceiptsTest, ALockByPushCoversWhatTheVaultRefusesAndItsEndShowsItAgain) {  // KL-12
  receipts_.OnLocked(Report(/*by_push=*/false));
  const std::string denial = OnDisk()->SerializeAsString();
  receipts_.OnLocked(Report(/*by_push=*/true, 0));
  store::WriteSet lock, unlock;
  receipts_.AddPushLock(hub_, clock_.WallNow(), lock);
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(lock)), IsOk());
  EXPECT_TRUE(OnDisk()->by_push());
  LockReceipts next(engine_, clock_, Actions());
  next.OnLocked(Report(/*by_push=*/true, 0));  // LockHub again
  ASSERT_TRUE(next.StandingDenial(hub_).has_value());
  const auto unlocked = next.AddPushUnlock(hub_, clock_.WallNow(), unlock);
  ASSERT_TRUE(unlocked.has_value());
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(unlock)), IsOk());
  next.Settle(hub_, *unlocked);
  EXPECT_EQ(OnDisk()->SerializeAsString(), denial);
  EXPECT_TRUE(next.StandingDenial(hub_).has_value());
}

TEST_F(LockReceiptsTest, AnotherKeyEndsTheRefusalBeneathALockByPushAndNotTheLock) {
  receipts_.OnLocked(Report(/*by_push=*/false));
  receipts_.OnLocked(Report(/*by_push=*/true, 0));
  receipts_.End(hub_);
  EXPECT_FALSE(receipts_.StandingDenial(hub_).has_value());
  EXPECT_TRUE(OnDisk()->by_push());
  EXPECT_EQ(OnDisk()->end_time_micros(), 0);
}

TEST_F(LockReceiptsTest, AnUnlockByPushDoesNotEndWhatTheVaultRefuses) {
  receipts_.OnLocked(Report(/*by_push=*/true, 2));
  receipts_.OnLocked(Report(/*by_push=*/false, 0));
  EXPECT_TRUE(OnDisk()->by_push()) << "what that lock did stays to be read";
  EXPECT_EQ(OnDisk()->keys_wiped(), 2u);
  EXPECT_TRUE(receipts_.StandingDenial(hub_).has_value());
  Unlock();
  EXPECT_FALSE(OnDisk()->by_push());
  EXPECT_TRUE(receipts_.StandingDenial(hub_).has_value());
}

TEST_F(LockReceiptsTest, AKeyGivenBackBeneathALockByPushIsNotRefusedAfterIt) {  // KL-12
  receipts_.OnLocked(Report(/*by_push=*/true));
  receipts_.OnLocked(Report(/*by_push=*/false, 0));
  receipts_.OnGivenBack(hub_);
  EXPECT_TRUE(OnDisk()->by_push());
  EXPECT_EQ(OnDisk()->end_time_micros(), 0);
  EXPECT_FALSE(receipts_.StandingDenial(hub_).has_value());
}

TEST_F(LockReceiptsTest, ARefusalThatComesBesideALockOrUnlockByPushIsKept) {  // KL-12
  store::WriteSet lock, unlock;
  const auto locked = receipts_.AddPushLock(hub_, clock_.WallNow(), lock);
  receipts_.OnLocked(Report(/*by_push=*/false));
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(lock)), IsOk());
  receipts_.Settle(hub_, locked);
  EXPECT_TRUE(OnDisk()->by_push());
  EXPECT_EQ(OnDisk()->denial().cause(), "KeyDisabled");
  receipts_.OnGivenBack(hub_);
  const auto unlocked = receipts_.AddPushUnlock(hub_, clock_.WallNow(), unlock);
  receipts_.OnLocked(Report(/*by_push=*/false));
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(unlock)), IsOk());
  receipts_.Settle(hub_, *unlocked);
  EXPECT_EQ(OnDisk()->cause(), "KeyDisabled");
  EXPECT_TRUE(LockReceipts(engine_, clock_, Actions()).StandingDenial(hub_).has_value());
}

}  // namespace
}  // namespace cmkstore::service
