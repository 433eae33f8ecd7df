// Each test quotes the rule of docs/key_lifecycle.md that it holds the cache to.

#include <random>

#include "absl/time/clock.h"
#include "tests/keycache/key_cache_fixture.h"

namespace cmkstore::keycache {
namespace {

TEST_F(KeyCacheTest, ServesManyLookupsFromOneUnwrap) {
  const HubUid hub = NewHub();
  const int before = vault_.unwraps();
  ASSERT_THAT(Fetch(hub), IsOk());
  for (int i = 0; i < 100; ++i) EXPECT_NE(*cache().Lookup(hub), nullptr);
  EXPECT_EQ(vault_.unwraps() - before, 1);
  Pass(options_.entry_lifetime * 0.8);
  EXPECT_EQ(listener_.openings, 1) << "a refresh opens nothing";
}

TEST_F(KeyCacheTest, LifetimeCountsFromTheUnwrapAndUseDoesNotExtendIt) {  // KL-1
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(options_.entry_lifetime / 10 - absl::Seconds(1));
    ASSERT_THAT(Fetch(NewHub()), IsOk()) << "the vault goes on unwrapping by the key";
    EXPECT_NE(*cache().Lookup(hub), nullptr) << i;
  }
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(*cache().Lookup(hub), nullptr);
}

TEST_F(KeyCacheTest, AConfirmedDenialWipesEveryHubOnTheKeyAndReportsIt) {  // KL-4
  const HubUid first = NewHub(), second = NewHub(), other = NewHub("other-key");
  for (HubUid hub : {first, second, other}) ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kDenied);
  Pass(absl::Seconds(42));
  EXPECT_THAT(cache().Lookup(first), FailsWith("CUSTOMER_KEY_REVOKED", "KeyDisabled"));
  EXPECT_THAT(cache().Lookup(second), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  EXPECT_THAT(cache().Lookup(other), IsOk());
  ASSERT_EQ(listener_.locks().size(), 2u);
  EXPECT_EQ(listener_.locks()[0].keys_wiped, 1u);
  EXPECT_FALSE(listener_.locks()[0].by_push);
}

TEST_F(KeyCacheTest, FromTheFirstRefusalToOursNeverMoreThan45Seconds) {  // KL-4
  std::mt19937 random(7);
  for (int trial = 0; trial < 10; ++trial) {
    const std::string key = "key" + std::to_string(trial);
    const HubUid hub = NewHub(key);
    ASSERT_THAT(Fetch(hub), IsOk());
    Pass(absl::Seconds(random() % 40));
    ASSERT_THAT(cache().Lookup(hub), IsOk());
    vault_.Break(key, kDenied);
    const absl::Time refused = clock_.MonotonicNow();
    while (cache().Lookup(hub).ok()) {
      Pass(absl::Seconds(1));
      ASSERT_LE(clock_.MonotonicNow() - refused, absl::Seconds(45)) << "trial " << trial;
    }
    vault_.Heal(key);
    const absl::Time healed = clock_.MonotonicNow();
    while (!cache().Lookup(hub).ok()) {
      Pass(absl::Seconds(1));
      ASSERT_LE(clock_.MonotonicNow() - healed, absl::Seconds(45)) << "trial " << trial;
    }
    EXPECT_THAT(Fetch(hub), IsOk());
  }
  EXPECT_GE(listener_.unlocks, 10);
}

TEST_F(KeyCacheTest, ABusyNeighbourWithABadRecordDoesNotPutTheProbeOff) {  // KL-2
  const HubUid hub = NewHub(), broken = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  HubKeyRecords records = *source_.Load(broken);
  records.deks.clear();
  source_.Set(broken, records);
  vault_.Break("key", kDenied);
  for (int second = 0; second < 45; ++second) {
    EXPECT_THAT(Fetch(broken), ::testing::Not(IsOk()));
    Pass(absl::Seconds(1));
  }
  EXPECT_THAT(cache().Lookup(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
}

TEST_F(KeyCacheTest, ASingleDenialThatIsNotConfirmedLocksNobody) {  // KL-4
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.FailNext(kDenied);
  Pass(absl::Seconds(60));
  EXPECT_THAT(cache().Lookup(hub), IsOk());
  EXPECT_TRUE(listener_.locks().empty());
}

TEST_F(KeyCacheTest, AColdHubIsRefusedAtTheFirstDenialAndFromTheNegativeCacheAfter) {  // KL-4
  const HubUid hub = NewHub();
  vault_.Break("key", kDenied);
  EXPECT_THAT(Fetch(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  const int before = vault_.unwraps();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Fetch(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  EXPECT_EQ(vault_.unwraps(), before);
  const absl::Time refused_at = clock_.WallNow();
  EXPECT_EQ(cache().Status(hub).availability, KeyAvailability::kDenied)
      << "as its callers are told";
  EXPECT_EQ(cache().Status(hub).state_since, refused_at);
  EXPECT_EQ(cache().Status(hub).cause, kDenied.message());
  EXPECT_EQ(listener_.openings, 0);
}

TEST_F(KeyCacheTest, ARememberedDenialIsNotToldAgainAndEndsWithTheFirstSuccess) {  // KL-12
  const HubUid hub = NewHub();
  HubKeyRecords remembered = *source_.Load(hub);
  remembered.locked_by_denial = true;
  source_.Set(hub, remembered);
  vault_.Break("key", kDenied);
  EXPECT_THAT(Fetch(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  Pass(options_.confirm_delay + absl::Seconds(1));
  EXPECT_EQ(cache().Status(hub).availability, KeyAvailability::kDenied);
  EXPECT_EQ(cache().Stats().locked_hubs, 1u);
  EXPECT_TRUE(listener_.locks().empty()) << "it was told of before the restart";
  EXPECT_EQ(listener_.unlocks, 0);
  vault_.Heal("key");
  Pass(options_.unhealthy_probe_interval * 2);
  EXPECT_EQ(listener_.unlocks, 1);
  EXPECT_EQ(cache().Stats().locked_hubs, 0u);
  remembered.locked_by_denial = false;
  source_.Set(hub, remembered);
  EXPECT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kDenied);
  Pass(absl::Seconds(42));
  EXPECT_EQ(listener_.locks().size(), 1u) << "a new one is";
}

TEST_F(KeyCacheTest, ARememberedDenialKeepsNoHubDarkWhoseKeyWorks) {  // KL-12
  const HubUid hub = NewHub();
  HubKeyRecords remembered = *source_.Load(hub);
  remembered.locked_by_denial = true;
  source_.Set(hub, remembered);
  EXPECT_THAT(Fetch(hub), IsOk());
  EXPECT_EQ(listener_.unlocks, 1);
  EXPECT_EQ(cache().Stats().locked_hubs, 0u);
}

TEST_F(KeyCacheTest, AnOutageIsServedFromTheCacheUntilTheGraceHasPassed) {  // KL-5
  const HubUid hub = NewHub("key", absl::Minutes(20));
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kOutage);
  Pass(absl::Minutes(19), absl::Seconds(20));
  EXPECT_NE(*cache().Lookup(hub), nullptr) << "within the grace, past the lifetime";
  EXPECT_GE(cache().Stats().oldest_success, absl::Minutes(19));
  Pass(absl::Minutes(2), absl::Seconds(20));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_UNREACHABLE", "grace"));
  EXPECT_TRUE(listener_.locks().empty());
  vault_.Heal("key");
  Pass(absl::Seconds(20));
  EXPECT_THAT(Fetch(hub), IsOk());
  EXPECT_EQ(listener_.recoveries, 1);
  clock_.Advance(absl::Hours(3));
  EXPECT_EQ(cache().Stats().oldest_success, absl::ZeroDuration()) << "idle is not unreachable";
}

TEST_F(KeyCacheTest, AKeyUsedNearItsEndIsServedThroughAnOutageThatNoProbeHasSeenYet) {  // KL-5
  std::vector<HubUid> hubs;
  for (int i = 0; i < 10; ++i) {
    hubs.push_back(NewHub(absl::StrCat("key", i)));
    ASSERT_THAT(Fetch(hubs.back()), IsOk());
  }
  Pass(options_.entry_lifetime - absl::Seconds(5));
  for (HubUid hub : hubs) ASSERT_NE(*cache().Lookup(hub), nullptr) << "used after a long pause";
  for (int i = 0; i < 10; ++i) vault_.Break(absl::StrCat("key", i), kOutage);
  Pass(absl::Seconds(10));
  for (HubUid hub : hubs) {
    const auto keys = cache().Lookup(hub);
    ASSERT_THAT(keys, IsOk());
    EXPECT_NE(*keys, nullptr) << "past its lifetime";
  }
}

TEST_F(KeyCacheTest, AnotherGraceTakesEffectAtOnceAndDropsNothing) {  // KL-5
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kOutage);
  Pass(absl::Minutes(10), absl::Seconds(20));
  const int unwraps = vault_.unwraps();
  cache().SetOutageGrace(hub, absl::Minutes(9), 1);
  EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_UNREACHABLE", "grace has passed"));
  cache().SetOutageGrace(hub, absl::Minutes(11), 2);
  const auto served = cache().Lookup(hub);
  ASSERT_THAT(served, IsOk());
  EXPECT_NE(*served, nullptr) << "only a hub whose key changed may need its vault";
  EXPECT_EQ(vault_.unwraps(), unwraps);
  Pass(absl::Minutes(2), absl::Seconds(20));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_UNREACHABLE", "grace has passed"));
}

TEST_F(KeyCacheTest, AGraceThatWasReadBeforeItsChangeDoesNotTakeTheChangeBack) {  // KL-5
  const HubUid hub = NewHub("key", absl::Hours(2));  // its record: revision 0
  ASSERT_THAT(Fetch(hub), IsOk());
  cache().SetOutageGrace(hub, absl::Minutes(5), 1);
  cache().SetOutageGrace(hub, absl::Hours(3), 0);
  cache().Forget(hub);
  ASSERT_THAT(Fetch(hub), IsOk()) << "by the record of before";
  vault_.Break("key", kOutage);
  Pass(absl::Seconds(40));
  const HubKeyStatus status = cache().Status(hub);
  EXPECT_EQ(status.refuse_after - status.last_success, absl::Minutes(5));
}

TEST_F(KeyCacheTest, WithoutGraceAnOutageRefusesAtOnce) {  // KL-5
  const HubUid hub = NewHub("key", absl::ZeroDuration());
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kOutage);
  Pass(absl::Seconds(40));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_UNREACHABLE", "grace has passed"));
  const HubUid cold = NewHub("key2");
  vault_.Break("key2", kOutage);
  EXPECT_THAT(Fetch(cold), FailsWith("VAULT_UNREACHABLE", "answered 503"));
  EXPECT_THAT(cache().Lookup(cold), FailsWith("VAULT_UNREACHABLE", "not in memory since"));
}

TEST_F(KeyCacheTest, PastTheGraceARefusalSaysWhatStandsInTheWayNow) {  // KL-5
  const HubUid hub = NewHub("key", absl::Minutes(20));
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", VaultLoginFailed("no token"));
  Pass(absl::Minutes(19), absl::Seconds(20));
  EXPECT_NE(*cache().Lookup(hub), nullptr) << "within the grace";
  Pass(absl::Minutes(2), absl::Seconds(20));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_LOGIN_FAILED", "grace has passed"));
  EXPECT_THAT(Fetch(hub), FailsWith("VAULT_LOGIN_FAILED", "no token"));
  EXPECT_EQ(cache().Status(hub).availability, KeyAvailability::kUnreachable);
  EXPECT_EQ(listener_.outages, 1);
  // The login works again, the vault does not.
  vault_.Break("key", kOutage);
  Pass(absl::Seconds(20));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_UNREACHABLE", "answered 503"));
  vault_.Break("key", VaultThrottled(absl::Seconds(7)));
  Pass(absl::Seconds(20));
  const absl::Status throttled = cache().Lookup(hub).status();
  EXPECT_THAT(throttled, FailsWith("VAULT_THROTTLED", "grace has passed"));
  EXPECT_EQ(RetryAfterOf(throttled), absl::Seconds(7));
  EXPECT_TRUE(listener_.locks().empty());
  vault_.Heal("key");
  Pass(absl::Seconds(30));
  EXPECT_THAT(Fetch(hub), IsOk());
}

TEST_F(KeyCacheTest, AnOutageDoesNotTakeADenialBack) {  // KL-3
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kDenied);
  Pass(absl::Seconds(45));
  vault_.Break("key", kOutage);
  Pass(absl::Seconds(60));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
}

TEST_F(KeyCacheTest, OurOwnLoginAndACorruptRecordLockNobody) {  // KL-3
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  for (const absl::Status& status : {VaultLoginFailed("no token"), DekRecordCorrupt("bad")}) {
    vault_.Break("key", status);
    Pass(absl::Seconds(60));
    EXPECT_THAT(cache().Lookup(hub), IsOk()) << status;
  }
  EXPECT_TRUE(listener_.locks().empty());
}

TEST_F(KeyCacheTest, WhoseKeyIsDamagedIsTold) {
  const HubUid served = NewHub("good"), damaged = NewHub("bad");
  ASSERT_THAT(Fetch(served), IsOk());
  vault_.Break("bad", DekRecordCorrupt("bad"));
  EXPECT_THAT(Fetch(damaged), FailsWith("DEK_RECORD_CORRUPT", ""));
  EXPECT_THAT(listener_.unusable(), ::testing::ElementsAre(damaged));
  EXPECT_THAT(listener_.corrupt(), ::testing::ElementsAre(damaged));

  vault_.Break("good", DekRecordCorrupt("bad"));
  Pass(absl::Seconds(45));
  EXPECT_THAT(listener_.unusable(), ::testing::UnorderedElementsAre(served, damaged))
      << "a probe tells too";
  EXPECT_THAT(listener_.corrupt(), ::testing::ElementsAre(damaged)) << "the other is still served";
}

TEST_F(KeyCacheTest, ALockedHubThatIsGivenAnotherKeyIsUnlockedByItsFirstUse) {  // KL-4
  const HubUid hub = NewHub("key"), neighbour = NewHub("key");
  for (HubUid one : {hub, neighbour}) ASSERT_THAT(Fetch(one), IsOk());
  HubKeyRecords moved = *source_.Load(hub);
  moved.key.key_name = "replacement";
  const auto rewrapped = RewrapDek(vault_, moved.key, moved.deks[0], absl::InfiniteFuture());
  ASSERT_THAT(rewrapped, IsOk());
  moved.deks[0] = *rewrapped;
  vault_.Break("key", kDenied);
  Pass(absl::Seconds(42));
  ASSERT_EQ(listener_.locks().size(), 2u);
  source_.Set(hub, moved);
  cache().Forget(hub);
  EXPECT_THAT(Fetch(hub), IsOk()) << "what the old key was refused is not said of the new one";
  EXPECT_EQ(listener_.unlocks, 1);
  EXPECT_THAT(Fetch(neighbour), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  EXPECT_EQ(cache().Stats().locked_hubs, 1u);
}

TEST_F(KeyCacheTest, APushLockIsInForceWhenItReturns) {  // KL-6
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  cache().Lock(hub);
  EXPECT_THAT(cache().Lookup(hub), FailsWith("HUB_LOCKED", ""));
  ASSERT_EQ(listener_.locks().size(), 1u);
  EXPECT_TRUE(listener_.locks()[0].by_push);
  const absl::Time locked_at = cache().Status(hub).state_since;
  EXPECT_EQ(locked_at, clock_.WallNow());
  clock_.Advance(absl::Seconds(3));
  cache().Lock(hub);
  EXPECT_EQ(listener_.locks().size(), 1u) << "the second finds nothing to wipe";
  EXPECT_EQ(cache().Status(hub).state_since, locked_at);
  cache().Unlock(hub, 1);
  EXPECT_EQ(cache().Status(hub).state_since, clock_.WallNow());
  EXPECT_THAT(Fetch(hub), IsOk());
}

TEST_F(KeyCacheTest, TheStatusOfADarkHubIsToldAndAsksNoVault) {  // KL-10
  const HubUid pushed = NewHub("key"), withdrawn = NewHub("other-key");
  for (HubUid hub : {pushed, withdrawn}) ASSERT_THAT(Fetch(hub), IsOk());
  const absl::Time opened = clock_.WallNow();
  cache().Lock(pushed);
  vault_.Break("other-key", kDenied);
  Pass(absl::Seconds(45));
  const uint64_t unwraps = cache().Stats().unwraps;
  EXPECT_EQ(cache().Status(pushed).availability, KeyAvailability::kLockedByPush);
  EXPECT_EQ(cache().Status(pushed).state_since, opened);
  const HubKeyStatus status = cache().Status(withdrawn);
  EXPECT_EQ(status.availability, KeyAvailability::kDenied);
  EXPECT_THAT(status.cause, ::testing::HasSubstr("KeyDisabled"));
  EXPECT_GE(status.last_success, opened);
  EXPECT_FALSE(status.cached);
  EXPECT_EQ(cache().Stats().unwraps, unwraps);
}

TEST_F(KeyCacheTest, AnUnwrapThatReturnsAfterALockBringsNoKeyBack) {  // KL-6
  const HubUid hub = NewHub();
  vault_.HoldCalls();
  absl::Notification finished;
  absl::StatusOr<HubKeysPtr> result;
  cache().Fetch(hub, absl::InfiniteFuture(), [&](absl::StatusOr<HubKeysPtr> keys) {
    result = std::move(keys);
    finished.Notify();
  });
  cache().Lock(hub);
  vault_.ReleaseCalls();
  finished.WaitForNotification();
  EXPECT_THAT(result, FailsWith("HUB_LOCKED", ""));
  EXPECT_EQ(cache().Stats().cached_hubs, 0u);
}

TEST_F(KeyCacheTest, AWaiterWhoseDeadlinePassesIsAnsweredWhileOthersGoOn) {  // KL-7
  const HubUid hub = NewHub();
  vault_.HoldCalls();
  absl::Notification late, patient;
  absl::Status late_status, patient_status;
  cache().Fetch(hub, absl::InfiniteFuture(), [&](absl::StatusOr<HubKeysPtr> keys) {
    patient_status = keys.status();
    patient.Notify();
  });
  cache().Fetch(hub, clock_.WallNow() + absl::Seconds(1), [&](absl::StatusOr<HubKeysPtr> keys) {
    late_status = keys.status();
    late.Notify();
  });
  clock_.Advance(absl::Seconds(2));
  cache().Tick();
  late.WaitForNotification();
  EXPECT_THAT(late_status, FailsWith("DEADLINE_EXCEEDED", ""));
  vault_.ReleaseCalls();
  patient.WaitForNotification();
  EXPECT_THAT(patient_status, IsOk());
}

TEST_F(KeyCacheTest, HubsBeyondTheBoundAreEvictedOldestFirst) {  // KL-8
  options_.max_hubs = 3;
  std::vector<HubUid> hubs;
  for (int i = 0; i < 4; ++i) {
    hubs.push_back(NewHub());
    ASSERT_THAT(Fetch(hubs.back()), IsOk());
  }
  EXPECT_EQ(*cache().Lookup(hubs[0]), nullptr);
  EXPECT_NE(*cache().Lookup(hubs[3]), nullptr);
  EXPECT_EQ(cache().Stats().evictions, 1u);
}

}  // namespace
}  // namespace cmkstore::keycache
