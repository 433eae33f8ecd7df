// Answers that come late, records that are bad, vaults that hang: what must not move a neighbour's
// keys.

#include "absl/time/clock.h"
#include "tests/keycache/key_cache_fixture.h"

namespace cmkstore::keycache {
namespace {

TEST_F(KeyCacheRacesTest, ASuccessDecidedBeforeADenialUnlocksNothingWhenItLandsAfter) {  // KL-3
  served_by_ = &slow_;
  const HubUid warm = NewHub(), cold = NewHub();
  ASSERT_THAT(Fetch(warm), IsOk());
  slow_.HoldNextAnswer();
  Start(cold);
  slow_.AwaitHeld();  // the vault said yes
  vault_.Break("key", kDenied);
  for (int second = 0; second < 42; ++second) {
    clock_.Advance(absl::Seconds(1));
    cache().Tick();
    while (cache().Stats().calls_under_way > 1) std::this_thread::yield();
  }
  ASSERT_THAT(cache().Lookup(warm), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  slow_.Release();
  AwaitEnded(1);
  EXPECT_EQ(listener_.unlocks, 0);
  EXPECT_THAT(cache().Lookup(warm), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  EXPECT_THAT(cache().Lookup(cold), FailsWith("CUSTOMER_KEY_REVOKED", ""));
}

TEST_F(KeyCacheRacesTest, AConfirmingProbeWithoutAnAnswerConfirms) {  // KL-4
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.FailNext(kDenied);
  vault_.FailNext(kOutage, 1000);
  Pass(absl::Seconds(42));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
}

TEST_F(KeyCacheRacesTest, SlowAnswersKeepThePromiseOf45Seconds) {  // KL-4
  served_by_ = &slow_;
  const absl::Duration slowness = options_.vault_call_timeout - absl::Milliseconds(100);
  for (int trial = 0; trial < 40; ++trial) {
    const std::string key = "key" + std::to_string(trial);
    const HubUid hub = NewHub(key);
    slow_.HoldNextAnswer();
    Start(hub);
    slow_.AwaitHeld();
    vault_.Break(key, kDenied);
    const absl::Time refused = clock_.MonotonicNow();
    clock_.Advance(slowness);
    slow_.Release();
    AwaitEnded(trial + 1);
    AwaitIdle();  // else its end would be taken for a probe below
    while (cache().Lookup(hub).ok()) {
      clock_.Advance(absl::Milliseconds(100));
      slow_.HoldNextAnswer();
      cache().Tick();
      if (cache().Stats().calls_under_way > 0) {
        slow_.AwaitHeld();
        clock_.Advance(slowness);
        slow_.Release();
        AwaitIdle();
      }
      ASSERT_LE(clock_.MonotonicNow() - refused, absl::Seconds(45)) << "trial " << trial;
    }
    cache_.reset();  // no probe of this trial's key holds the next one up
  }
}

TEST_F(KeyCacheRacesTest, AHubThatMovedToAnotherKeyIsNotLockedWithItsOldOne) {  // KL-4
  const HubUid hub = NewHub("old");
  ASSERT_THAT(Fetch(hub), IsOk());
  HubKeyRecords records = *source_.Load(hub);
  records.key.key_name = "new";
  records.deks[0].wrapped.version_id = "https://contoso.vault.azure.net/keys/new/1";
  source_.Set(hub, records);
  cache().Forget(hub);
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("old", kDenied);
  Pass(absl::Seconds(45));
  EXPECT_THAT(cache().Lookup(hub), IsOk());
  EXPECT_TRUE(listener_.locks().empty());
}

TEST_F(KeyCacheRacesTest, AnOlderGenerationHasALifetimeOfItsOwn) {  // KL-1
  const HubUid hub = NewHub();
  const DekId older = AddGeneration(hub);
  ASSERT_THAT(FetchOpen(hub, older), IsOk());
  for (int second = 0; second < 320; second += 5) {
    Pass(absl::Seconds(5), absl::Seconds(5));
    ASSERT_THAT(cache().Lookup(hub), IsOk());  // in use, so refreshed
  }
  EXPECT_EQ(*cache().LookupOpenKey(hub, older), nullptr);
}

TEST_F(KeyCacheRacesTest, ADisabledOldVersionOfTheVaultKeyDarkensOnlyWhatItWraps) {  // KL-4
  const HubUid hub = NewHub();
  const DekId older = AddGeneration(hub);
  HubKeyRecords records = *source_.Load(hub);
  records.deks[0].wrapped.version_id = "https://contoso.vault.azure.net/keys/key/0";
  source_.Set(hub, records);
  ASSERT_THAT(FetchOpen(hub, older), IsOk());
  vault_.BreakVersion("https://contoso.vault.azure.net/keys/key/0", kDenied);
  Pass(absl::Seconds(42));
  EXPECT_THAT(cache().Lookup(hub), IsOk());
  EXPECT_THAT(cache().LookupOpenKey(hub, older), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  vault_.HealVersion("https://contoso.vault.azure.net/keys/key/0");
  Pass(absl::Seconds(15));
  EXPECT_THAT(FetchOpen(hub, older), IsOk());
}

TEST_F(KeyCacheRacesTest, AnOlderGenerationIsWatchedAlthoughAnotherOfItsKeyFailed) {  // KL-4
  served_by_ = &slow_;
  const HubUid hub = NewHub();
  const DekId first = AddGeneration(hub), second = AddGeneration(hub);
  HubKeyRecords records = *source_.Load(hub);
  const std::string old_version = "https://contoso.vault.azure.net/keys/key/0";
  for (int i : {0, 1}) records.deks[i].wrapped.version_id = old_version;
  source_.Set(hub, records);
  ASSERT_THAT(Fetch(hub), IsOk());
  slow_.HoldNextAnswer();
  cache().FetchOpenKey(hub, second, absl::InfiniteFuture(), [this](auto) { ++ended_; });
  slow_.AwaitHeld();
  vault_.BreakVersion(old_version, kOutage);
  EXPECT_THAT(FetchOpen(hub, first), FailsWith("VAULT_UNREACHABLE", ""));
  vault_.HealVersion(old_version);
  slow_.Release();
  AwaitEnded(1);
  ASSERT_NE(*cache().LookupOpenKey(hub, second), nullptr);
  vault_.BreakVersion(old_version, kDenied);
  Pass(absl::Seconds(45));
  EXPECT_THAT(cache().LookupOpenKey(hub, second), FailsWith("CUSTOMER_KEY_REVOKED", ""));
}

TEST_F(KeyCacheRacesTest, ANewerFormatOfOneHubIsNoOutageOfItsVault) {  // KL-3
  const HubUid good = NewHub("key", absl::ZeroDuration()), newer = NewHub();
  HubKeyRecords records = *source_.Load(newer);
  records.sealed_hub_secrets[2] = 2;
  source_.Set(newer, records);
  ASSERT_THAT(Fetch(good), IsOk());
  EXPECT_THAT(Fetch(newer), FailsWith("FORMAT_TOO_NEW", ""));
  EXPECT_THAT(cache().Lookup(good), IsOk());
}

TEST_F(KeyCacheRacesTest, AWrappedDekOfAnotherHubIsRefusedAndLocksNobody) {  // KL-11
  const HubUid hub = NewHub(), victim = NewHub();
  HubKeyRecords moved = *source_.Load(hub);
  moved.deks = source_.Load(victim)->deks;
  moved.deks[0].facts.hub = hub;
  source_.Set(hub, moved);
  EXPECT_THAT(Fetch(hub), FailsWith("DEK_RECORD_CORRUPT", ""));
  EXPECT_THAT(Fetch(victim), IsOk());
  EXPECT_TRUE(listener_.locks().empty());
}

TEST_F(KeyCacheRacesTest, ACorruptRecordDoesNotPreventRecovery) {  // KL-11
  const HubUid good = NewHub(), bad = NewHub();
  HubKeyRecords records = *source_.Load(bad);
  records.deks[0].wrapped.ciphertext[0] ^= 1;
  source_.Set(bad, records);
  EXPECT_THAT(Fetch(bad), ::testing::Not(IsOk()));
  ASSERT_THAT(Fetch(good), IsOk());
  EXPECT_THAT(Fetch(bad), ::testing::Not(IsOk()));
  vault_.Break("key", kDenied);
  Pass(absl::Seconds(60));
  ASSERT_FALSE(cache().Lookup(good).ok());
  vault_.Heal("key");
  Pass(absl::Seconds(45));
  EXPECT_THAT(cache().Lookup(good), IsOk());
}

TEST_F(KeyCacheRacesTest, AVaultThatHangsTakesOnlyItsOwnThreads) {  // KL-7
  options_.max_calls = 64;
  options_.max_calls_per_vault = 14;  // of which 8 are for cold misses
  std::vector<HubUid> hung;
  for (int i = 0; i < 60; ++i) hung.push_back(NewHub("key" + std::to_string(i)));
  const HubUid other = NewHub("elsewhere");
  HubKeyRecords records = *source_.Load(other);
  records.key.vault_uri = "https://other.vault.azure.net";
  source_.Set(other, records);
  const int minted = vault_.unwraps();
  vault_.HoldCalls();
  for (HubUid hub : hung) Start(hub);
  while (vault_.unwraps() < minted + 8) std::this_thread::yield();
  Start(other);
  while (vault_.unwraps() < minted + 9) std::this_thread::yield();  // would hang here
  absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(vault_.unwraps(), minted + 9);
  vault_.ReleaseCalls();
  AwaitEnded(61);
}

TEST_F(KeyCacheRacesTest,
       AHubWithoutKeysInMemoryIsToldToBeRefusedSinceItsVaultFellSilent) {  // KL-5
  const HubUid warm = NewHub(), cold = NewHub();
  ASSERT_THAT(Fetch(warm), IsOk());
  vault_.Break("key", kOutage);
  Pass(absl::Seconds(40));
  ASSERT_THAT(Fetch(cold), FailsWith("VAULT_UNREACHABLE", ""));
  EXPECT_GT(cache().Status(warm).refuse_after, clock_.WallNow());
  EXPECT_LE(cache().Status(cold).refuse_after, clock_.WallNow());
}

TEST_F(KeyCacheRacesTest, LockedHubsDoNotStopEviction) {  // KL-8
  options_.max_hubs = 3;
  const HubUid locked = NewHub();
  ASSERT_THAT(Fetch(locked), IsOk());
  cache().Lock(locked);
  for (int i = 0; i < 20; ++i) ASSERT_THAT(Fetch(NewHub()), IsOk());
  EXPECT_LE(cache().Stats().cached_hubs, 3u);
}

TEST_F(KeyCacheRacesTest, APushLockThatTheStoreHasNotTakenIsNotEvicted) {  // KL-6, KL-8
  options_.max_hubs = 3;
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  for (int calls : {1, 2}) {
    cache().Lock(hub);
    for (int i = 0; i < 5; ++i) ASSERT_THAT(Fetch(NewHub()), IsOk());
    EXPECT_THAT(Fetch(hub), FailsWith("HUB_LOCKED", "")) << calls;
  }
  cache().Lock(hub, 1);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(Fetch(NewHub()), IsOk());
  EXPECT_THAT(Fetch(hub), IsOk()) << "as its record says, which in this test is not locked";

  cache().Lock(hub);
  cache().Forget(hub);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(Fetch(NewHub()), IsOk());
  EXPECT_THAT(Fetch(hub), FailsWith("HUB_LOCKED", "")) << "deleted, it may be undeleted";
  cache().Forget(hub, /*is_gone=*/true);
  for (int i = 0; i < 5; ++i) ASSERT_THAT(Fetch(NewHub()), IsOk());
  EXPECT_THAT(Fetch(hub), IsOk()) << "nothing of it was kept";
}

TEST_F(KeyCacheRacesTest, AKeyGivenBackBeneathAPushLockIsToldAndUnlocksNothing) {  // KL-12
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kDenied);
  Pass(absl::Minutes(2));
  ASSERT_EQ(listener_.locks().size(), 1u);
  cache().Lock(hub);
  vault_.Heal("key");
  Pass(absl::Minutes(2));
  EXPECT_EQ(listener_.given_back, 1);
  EXPECT_EQ(listener_.unlocks, 0);
  EXPECT_THAT(cache().Lookup(hub), FailsWith("HUB_LOCKED", ""));
  cache().Unlock(hub, 1);
  EXPECT_THAT(Fetch(hub), IsOk());
}

TEST_F(KeyCacheRacesTest, AFetchOvertakenByForgetAsksAgain) {  // KL-6
  served_by_ = &slow_;
  const HubUid hub = NewHub();
  slow_.HoldNextAnswer();
  absl::Notification finished;
  absl::StatusOr<HubKeysPtr> result;
  cache().Fetch(hub, absl::InfiniteFuture(), [&](absl::StatusOr<HubKeysPtr> keys) {
    result = std::move(keys);
    finished.Notify();
  });
  slow_.AwaitHeld();
  const int before = vault_.unwraps();
  cache().Forget(hub);
  slow_.Release();
  finished.WaitForNotification();
  EXPECT_THAT(result, IsOk());
  EXPECT_EQ(vault_.unwraps() - before, 1) << "what was on its way may be of another key";
}

TEST_F(KeyCacheRacesTest, AHealthyKeyUnderWhichNothingIsCachedIsNotProbed) {  // KL-2
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  Pass(absl::Minutes(11), absl::Seconds(10));  // refreshed once, then let go
  const int idle = vault_.unwraps();
  Pass(absl::Minutes(5), absl::Seconds(10));
  EXPECT_EQ(vault_.unwraps(), idle);
}

TEST_F(KeyCacheRacesTest, AnUnknownHubLeavesNothingBehindAndStopAnswersWhoWaits) {  // KL-7, KL-8
  EXPECT_THAT(Fetch(random_.NewUid<HubUid>()), FailsWith("HUB_NOT_FOUND", ""));
  options_.max_calls_per_vault = 5;  // of which 3 are for cold misses
  std::vector<HubUid> hubs;
  for (int i = 0; i < 4; ++i) hubs.push_back(NewHub());
  vault_.HoldCalls();
  for (HubUid hub : hubs) Start(hub);
  std::thread release([&] {
    absl::SleepFor(absl::Milliseconds(10));
    vault_.ReleaseCalls();
  });
  cache_.reset();
  release.join();
  EXPECT_EQ(ended_, 4);
}

}  // namespace
}  // namespace cmkstore::keycache
