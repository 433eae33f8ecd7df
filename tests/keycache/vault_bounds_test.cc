// How many calls are under way at once when cold misses, probes and what people wait for all come
// together (KL-7): the key cache and BoundedKeyVault, as a server has them, over vaults that hang.

#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/keycache/key_cache_fixture.h"
#include "vault/bounded_key_vault.h"

namespace cmkstore::keycache {
namespace {

// Counts the calls under way, and keeps them there while it holds.
class CrowdedVault final : public vault::KeyVault {
 public:
  explicit CrowdedVault(vault::KeyVault& vault) : vault_(vault) {}
  absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key,
                                                 absl::Time deadline) override {
    const Visit visit(*this, key);
    return vault_.Describe(key, deadline);
  }
  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                         absl::Time deadline) override {
    const Visit visit(*this, key);
    return vault_.Wrap(key, dek, deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time deadline) override {
    const Visit visit(*this, key);
    return vault_.Unwrap(key, wrapped, deadline);
  }

  void Hold(bool held) {
    absl::MutexLock lock(&mutex_);
    held_ = held;
  }
  size_t most() {
    absl::MutexLock lock(&mutex_);
    return most_;
  }
  size_t most_to_one() {
    absl::MutexLock lock(&mutex_);
    return most_to_one_;
  }

 private:
  class Visit {
   public:
    Visit(CrowdedVault& crowd, const vault::KeyRef& key) : crowd_(crowd), vault_(key.vault_uri) {
      absl::MutexLock lock(&crowd_.mutex_);
      crowd_.most_ = std::max(crowd_.most_, ++crowd_.total_);
      crowd_.most_to_one_ = std::max(crowd_.most_to_one_, ++crowd_.under_way_[vault_]);
      crowd_.mutex_.Await(absl::Condition(
          +[](bool* held) { return !*held; }, &crowd_.held_));
    }
    ~Visit() {
      absl::MutexLock lock(&crowd_.mutex_);
      --crowd_.total_;
      --crowd_.under_way_[vault_];
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    CrowdedVault& crowd_;
    const std::string vault_;
  };

  vault::KeyVault& vault_;
  absl::Mutex mutex_;
  bool held_ = false;
  std::map<std::string, size_t> under_way_;
  size_t total_ = 0, most_ = 0, most_to_one_ = 0;
};

std::string VaultUri(absl::string_view name, size_t number) {
  return absl::StrCat("https://", name, number, ".vault.azure.net");
}

class VaultBoundsTest : public KeyCacheTest {
 protected:
  VaultBoundsTest() {
    options_ = KeyCacheOptions();
    vault_.SetKeyBits(2048);
    served_by_ = &crowd_;
  }

  // Each under a key of its own, whose name begins with that of its vaults.
  std::vector<HubUid> NewHubs(absl::string_view name, size_t vaults, size_t hubs_per_vault) {
    std::vector<HubUid> hubs;
    for (size_t i = 0; i < vaults * hubs_per_vault; ++i) {
      key_names_[std::string(name)].push_back(absl::StrCat(name, "-", made_++));
      hubs.push_back(
          NewHub(key_names_[std::string(name)].back(), absl::Hours(1), VaultUri(name, i % vaults)));
    }
    return hubs;
  }
  void FetchAll(const std::vector<HubUid>& hubs) {
    for (HubUid hub : hubs) {
      ++asked_;
      cache().Fetch(hub, absl::InfiniteFuture(), [this](const auto&) { ++ended_; });
    }
  }
  void AwaitAll() {
    while (ended_ < asked_) {
      clock_.Advance(absl::Milliseconds(100));
      Tick();
    }
  }
  // People who check a key of each vault, `each` at a time.
  void SendPeople(absl::string_view name, size_t vaults, size_t each) {
    for (size_t i = 0; i < vaults * each; ++i) {
      people_.emplace_back([this, uri = VaultUri(name, i % vaults)] {
        EXPECT_THAT(bounded_.Describe({uri, "key", "", ""}, absl::InfiniteFuture()), IsOk());
      });
    }
  }
  // Lets time pass, whatever hangs, until no more calls come.
  void PassHanging(absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += absl::Milliseconds(100)) {
      clock_.Advance(absl::Milliseconds(100));
      cache().Tick();
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
  void LetGo() {
    crowd_.Hold(false);
    for (std::thread& person : people_) person.join();
    AwaitAll();
  }

  CrowdedVault crowd_{vault_};
  vault::BoundedKeyVault bounded_{BoundsForPeople(KeyCacheOptions()), crowd_, budget_, clock_};
  std::map<std::string, std::vector<std::string>> key_names_;
  size_t made_ = 0;
  std::atomic<int> asked_ = 0, ended_ = 0;
  std::vector<std::thread> people_;
};

TEST_F(VaultBoundsTest, NoVaultHasMoreThanTwentyCallsAtOnce) {  // KL-7
  FetchAll(NewHubs("v", 1, 50));
  AwaitAll();
  const std::vector<HubUid> cold = NewHubs("v", 1, 50);
  crowd_.Hold(true);
  SendPeople("v", 1, 10);
  FetchAll(cold);
  PassHanging(absl::Seconds(40));  // the probes of the first are due
  EXPECT_EQ(crowd_.most_to_one(), 20u) << "12 for cold misses, 4 probes, 4 of people";
  LetGo();
}

TEST_F(VaultBoundsTest, NoMoreThanSixtyFourCallsAreUnderWayOverAllVaults) {  // KL-7
  FetchAll(NewHubs("v", 30, 5));
  const std::vector<HubUid> silent = NewHubs("silent", 40, 2);
  for (const std::string& name : key_names_["silent"]) vault_.Break(name, kOutage);
  FetchAll(silent);
  AwaitAll();
  Pass(absl::Seconds(30), absl::Milliseconds(100));  // probes have met the silence too
  const std::vector<HubUid> cold = NewHubs("v", 30, 5), cold_and_silent = NewHubs("silent", 40, 2);
  crowd_.Hold(true);
  SendPeople("v", 30, 1);
  FetchAll(cold);
  FetchAll(cold_and_silent);
  PassHanging(absl::Seconds(40));
  EXPECT_EQ(crowd_.most(), 64u) << "24 and 16 for cold misses, 8 and 8 probes, 8 of people";
  EXPECT_LE(crowd_.most_to_one(), 20u);
  LetGo();
}

TEST(VaultCallSharesTest, AreWithinTheBoundsTogether) {
  for (size_t bound = 5; bound <= 1024; ++bound) {
    KeyCacheOptions options;
    options.max_calls = options.max_calls_per_vault = bound;
    ASSERT_THAT(options.Validate(), IsOk());
    const VaultCallShares shares(options);
    ASSERT_LE(
        shares.fetches + shares.slow_fetches + shares.probes + shares.slow_probes + shares.people,
        bound);
    ASSERT_LE(shares.fetches_per_vault + shares.probes_per_vault + shares.people_per_vault, bound);
    ASSERT_LE(2 * VaultCallShares::kSlowPerVault + shares.people_per_vault, bound);
    ASSERT_GE(
        std::min({shares.fetches_per_vault, shares.probes_per_vault, shares.people_per_vault}), 1u);
  }
}

}  // namespace
}  // namespace cmkstore::keycache
