// Many reads and many hubs at once: what they ask of the vaults, in calls and in calls a second.

#include <atomic>
#include <deque>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/keycache/key_cache_fixture.h"
#include "vault/bounded_key_vault.h"

namespace cmkstore::keycache {
namespace {

class VaultHerdTest : public KeyCacheTest {
 protected:
  VaultHerdTest() {
    options_ = KeyCacheOptions();
    vault_.SetKeyBits(3072);
    vault_.OnUnwrap([this](const vault::KeyRef& key) { Note(key.vault_uri); });
  }

  std::vector<HubUid> MakeHubs(int hubs, int vaults) {
    std::vector<HubUid> made;
    for (int i = 0; i < hubs; ++i) {
      key_names_.push_back(absl::StrCat("key", i));
      made.push_back(NewHub(key_names_.back(), absl::Hours(1),
                            absl::StrCat("https://v", i % vaults, ".vault.azure.net")));
    }
    absl::MutexLock lock(&mutex_);
    calls_.clear();
    return made;
  }
  void FetchAll(const std::vector<HubUid>& hubs) {
    for (HubUid hub : hubs) {
      cache().Fetch(hub, absl::InfiniteFuture(),
                    [this](absl::StatusOr<HubKeysPtr> keys) { ++(keys.ok() ? served_ : failed_); });
    }
  }
  size_t CallsOf(const std::string& vault) {
    absl::MutexLock lock(&mutex_);
    return calls_[vault].size();
  }
  // The most calls to any one vault in any window of `window`.
  size_t Busiest(absl::Duration window) {
    absl::MutexLock lock(&mutex_);
    size_t most = 0;
    for (const auto& [vault, times] : calls_) {
      std::deque<absl::Time> inside;
      for (absl::Time time : times) {
        inside.push_back(time);
        while (time - inside.front() >= window) inside.pop_front();
        most = std::max(most, inside.size());
      }
    }
    return most;
  }

  std::atomic<int> served_ = 0, failed_ = 0;
  std::vector<std::string> key_names_;
  void Note(const std::string& vault) {
    const absl::Time now = clock_.MonotonicNow();
    absl::MutexLock lock(&mutex_);
    calls_[vault].push_back(now);
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::vector<absl::Time>> calls_;
};

TEST_F(KeyCacheTest, TenThousandColdReadsOfAHubMakeOneUnwrap) {  // KL-7
  const HubUid hub = NewHub();
  const int before = vault_.unwraps();
  vault_.HoldCalls();
  std::atomic<int> served = 0;
  for (int i = 0; i < 10'000; ++i) {
    cache().Fetch(hub, absl::InfiniteFuture(),
                  [&](absl::StatusOr<HubKeysPtr> keys) { served += keys.ok(); });
  }
  vault_.ReleaseCalls();
  while (served < 10'000) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(vault_.unwraps() - before, 1);
}

TEST_F(KeyCacheTest, WaitersBeyondTheBoundAreRefused) {  // KL-7
  options_.max_waiters_per_key = 2;
  const HubUid hub = NewHub();
  vault_.HoldCalls();
  for (int i = 0; i < 2; ++i) cache().Fetch(hub, absl::InfiniteFuture(), [](auto) {});
  EXPECT_THAT(Fetch(hub), FailsWith("QUOTA_EXCEEDED", ""));
}

TEST_F(VaultHerdTest, ARestartWithTenThousandHubsStaysWithinEachVaultsBudget) {  // KL-7
  const std::vector<HubUid> hubs = MakeHubs(10'000, 100);
  const int before = vault_.unwraps();
  // Meanwhile people check keys of some of the vaults, as often as they are let.
  vault::BoundedKeyVault bounded(BoundsForPeople(options_), vault_, budget_, clock_);
  int checks = 0;
  const auto check = [&](const std::string& vault) {
    const absl::Time at_once = clock_.WallNow() + absl::Milliseconds(1);
    if (!bounded.Describe({vault, "key0", "", ""}, at_once).ok()) return;
    Note(vault);
    ++checks;
  };
  FetchAll(hubs);
  int ticks = 0;
  for (; served_ < 10'000 && ticks < 200; ++ticks) {
    Tick();
    for (int i = 0; i < 10; ++i) check(absl::StrCat("https://v", i, ".vault.azure.net"));
    clock_.Advance(absl::Milliseconds(100));
  }
  EXPECT_EQ(served_, 10'000);
  EXPECT_EQ(failed_, 0);
  EXPECT_EQ(vault_.unwraps() - before, 10'000);
  EXPECT_LE(Busiest(absl::Seconds(1)), 25u) << "half of what a vault takes for RSA-3072";
  EXPECT_GE(checks, 10);
  EXPECT_LE(ticks, 100) << "100 hubs a vault at 20 and more a second, and the checks";
}

TEST_F(VaultHerdTest, AnOutageIsAskedAboutAtMostTwiceASecondAndServedThrough) {  // KL-2, KL-5
  vault_.SetKeyBits(2048);
  // Asked one by one at that pace, the last key would hear of the outage after its lifetime.
  const std::vector<HubUid> hubs = MakeHubs(1'000, 1);
  FetchAll(hubs);
  Pass(absl::Seconds(20), absl::Milliseconds(100));
  ASSERT_EQ(served_, 1'000);
  for (const std::string& name : key_names_) vault_.Break(name, kOutage);
  Pass(absl::Seconds(45));  // all have noticed
  const size_t before = CallsOf("https://v0.vault.azure.net");
  Pass(absl::Minutes(10));
  EXPECT_LE(CallsOf("https://v0.vault.azure.net") - before, 2u * 600);
  for (HubUid hub : hubs) {
    const auto keys = cache().Lookup(hub);
    ASSERT_THAT(keys, IsOk());
    ASSERT_NE(*keys, nullptr);
  }
  for (const std::string& name : key_names_) vault_.Heal(name);
  Pass(absl::Seconds(45));
  EXPECT_EQ(cache().Stats().vault_keys_unreachable, 0u);
  EXPECT_TRUE(listener_.locks().empty());
}

// Their probes alone are more than the vault's budget: those in use are opened all the same, go
// dark in time, and come back in time.
TEST_F(VaultHerdTest, AVaultOfMoreKeysThanItsBudgetCanProbeKeepsThePromise) {  // KL-2, KL-4, KL-7
  vault_.SetKeyBits(4096);
  const std::vector<HubUid> hubs = MakeHubs(600, 1);
  FetchAll(hubs);
  Pass(absl::Minutes(3), absl::Milliseconds(100));
  EXPECT_EQ(served_, 600);
  const std::vector<HubUid> used(hubs.begin(), hubs.begin() + 50);
  const auto use = [&](absl::Duration time) {
    served_ = failed_ = 0;
    for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) {
      FetchAll(used);
      Pass(absl::Seconds(1), absl::Milliseconds(100));
    }
  };
  use(absl::Minutes(2));
  EXPECT_EQ(failed_, 0);
  EXPECT_GE(served_, 50 * 115) << "what waits for its turn comes a little later";
  EXPECT_GT(cache().Stats().vault_keys_unproven, 0u);
  for (const std::string& name : key_names_) vault_.Break(name, kDenied);
  use(kPromise);
  EXPECT_GT(failed_, 0);
  for (HubUid hub : used) {
    const auto keys = cache().Lookup(hub);
    EXPECT_TRUE(!keys.ok() || *keys == nullptr);
  }
  for (const std::string& name : key_names_) vault_.Heal(name);
  use(kPromise);
  for (HubUid hub : used) EXPECT_THAT(cache().Lookup(hub), IsOk());
}

TEST_F(KeyCacheTest, OneProbeServesEveryHubOnAKey) {  // KL-2
  for (int i = 0; i < 10; ++i) ASSERT_THAT(Fetch(NewHub()), IsOk());
  const int before = vault_.unwraps();
  clock_.Advance(options_.probe_interval * (1 + options_.probe_jitter));
  Tick();
  EXPECT_EQ(vault_.unwraps() - before, 1);
}

TEST_F(KeyCacheTest, WithoutAWordOfTheVaultOnItsKeyAnEntryServesNoLongerThanIsPromised) {  // KL-2
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  clock_.Advance(kPromise - absl::Seconds(1));
  EXPECT_NE(*cache().Lookup(hub), nullptr);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(*cache().Lookup(hub), nullptr) << "no probe has come through";
  ASSERT_THAT(Fetch(hub), IsOk());
  EXPECT_NE(*cache().Lookup(hub), nullptr);
}

TEST_F(VaultHerdTest, AVaultThatThrottlesIsLeftAloneForAsLongAsItAsks) {  // KL-7
  const std::vector<HubUid> hubs = MakeHubs(50, 1);
  vault_.FailNext(WithCause(VaultThrottled(absl::Seconds(20)), "throttled"));
  cache().Fetch(hubs[0], absl::InfiniteFuture(), [](const auto&) {});
  Tick();
  const size_t asked = CallsOf("https://v0.vault.azure.net");
  FetchAll({hubs.begin() + 1, hubs.end()});
  Pass(absl::Seconds(19));
  EXPECT_LE(CallsOf("https://v0.vault.azure.net"), asked + 2) << "probes";
  EXPECT_EQ(served_, 0);
  Pass(absl::Seconds(15));
  EXPECT_EQ(served_, 49);
}

TEST_F(VaultHerdTest, WhoWouldWaitInVainForAVaultThatThrottlesIsToldAtOnce) {  // KL-7
  const std::vector<HubUid> hubs = MakeHubs(2, 1);
  vault_.FailNext(WithCause(VaultThrottled(absl::Minutes(2)), "throttled"));
  const absl::Time deadline = clock_.WallNow() + absl::Seconds(30);
  for (HubUid hub : {hubs[0], hubs[1], hubs[0]}) {
    absl::StatusOr<HubKeysPtr> told;
    cache().Fetch(hub, deadline, [&](absl::StatusOr<HubKeysPtr> keys) { told = std::move(keys); });
    Tick();
    EXPECT_THAT(told, FailsWith("VAULT_THROTTLED", ""));
  }
  EXPECT_EQ(CallsOf("https://v0.vault.azure.net"), 1u);
}

TEST_F(VaultHerdTest, HubsOfAVaultThatThrottlesAreServedThoughItIsAskedAboutFewOfThem) {  // KL-5
  const std::vector<HubUid> hubs = MakeHubs(100, 1);
  FetchAll(hubs);
  Pass(absl::Seconds(20), absl::Milliseconds(100));
  ASSERT_EQ(served_, 100);
  const auto throttles = WithCause(VaultThrottled(absl::Minutes(5)), "throttled");
  for (const std::string& name : key_names_) vault_.Break(name, throttles);
  Pass(absl::Seconds(45));
  const size_t before = CallsOf("https://v0.vault.azure.net");
  Pass(absl::Minutes(10));
  // A probe each 10 s, and what goes out at the end of each pause before the first answer is in.
  EXPECT_LE(CallsOf("https://v0.vault.azure.net") - before, 60u + 2 * 16);
  for (HubUid hub : hubs) {
    const auto keys = cache().Lookup(hub);
    ASSERT_THAT(keys, IsOk());
    ASSERT_NE(*keys, nullptr);
  }
  Pass(absl::Hours(1));
  for (HubUid hub : hubs) EXPECT_THAT(cache().Lookup(hub), FailsWith("VAULT_THROTTLED", "grace"));
}

TEST_F(VaultHerdTest, AKeyIsFoundWithdrawnThoughTheVaultHasAskedForALongPause) {  // KL-2, KL-7
  const std::vector<HubUid> hubs = MakeHubs(2, 1);
  FetchAll(hubs);
  Pass(absl::Seconds(2), absl::Milliseconds(100));
  ASSERT_EQ(served_, 2);
  vault_.FailNext(WithCause(VaultThrottled(absl::Minutes(5)), "throttled"));
  Pass(absl::Seconds(37), absl::Milliseconds(100));  // the next probe has been told
  vault_.Break(key_names_[0], kDenied);
  Pass(absl::Seconds(45), absl::Milliseconds(100));
  EXPECT_THAT(cache().Lookup(hubs[0]), FailsWith("CUSTOMER_KEY_REVOKED", ""));
}

}  // namespace
}  // namespace cmkstore::keycache
