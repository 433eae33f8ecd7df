#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "crypto/hub_secrets.h"
#include "keycache/dek_minter.h"
#include "keycache/key_cache.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/forwarding_key_vault.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::keycache {

using testing::FailsWith;
using testing::IsOk;

inline const absl::Status kDenied = CustomerKeyRevoked("the key is disabled (KeyDisabled)");
inline const absl::Status kOutage =
    VaultUnreachable("http_5xx: the vault answered 503", absl::Seconds(5));

class FakeSource final : public WrappedDekSource {
 public:
  absl::StatusOr<HubKeyRecords> Load(HubUid hub) override {
    absl::MutexLock lock(&mutex_);
    const auto found = hubs_.find(hub);
    if (found == hubs_.end()) return NotFound("hub");
    return found->second;
  }
  void Set(HubUid hub, HubKeyRecords records) {
    absl::MutexLock lock(&mutex_);
    hubs_[hub] = std::move(records);
  }

 private:
  absl::Mutex mutex_;
  std::map<HubUid, HubKeyRecords> hubs_;
};

class RecordingListener final : public KeyStateListener {
 public:
  void OnLocked(const LockReport& report) override {
    absl::MutexLock lock(&mutex_);
    locks_.push_back(report);
  }
  void OnUnlocked(HubUid) override { ++unlocks; }
  void OnGivenBack(HubUid) override { ++given_back; }
  void OnOpened(HubUid) override { ++openings; }
  void OnForgotten(HubUid) override { ++forgotten; }
  void OnVaultUnreachable(const std::string&, absl::string_view) override { ++outages; }
  void OnVaultReachable(const std::string&) override { ++recoveries; }
  void OnWrappedDekUnusable(HubUid hub, const std::string&, absl::string_view) override {
    absl::MutexLock lock(&mutex_);
    unusable_.insert(hub);
  }
  void OnHubKeysCorrupt(HubUid hub, absl::string_view) override {
    absl::MutexLock lock(&mutex_);
    corrupt_.insert(hub);
  }
  void OnUnwrapAsked(HubUid) override { ++unwraps_asked; }
  std::vector<LockReport> locks() {
    absl::MutexLock lock(&mutex_);
    return locks_;
  }
  std::set<HubUid> unusable() {
    absl::MutexLock lock(&mutex_);
    return unusable_;
  }
  std::set<HubUid> corrupt() {
    absl::MutexLock lock(&mutex_);
    return corrupt_;
  }
  std::atomic<int> unlocks = 0, given_back = 0, openings = 0, forgotten = 0, outages = 0,
                   recoveries = 0, unwraps_asked = 0;

 private:
  absl::Mutex mutex_;
  std::vector<LockReport> locks_;
  std::set<HubUid> unusable_, corrupt_;
};

class KeyCacheTest : public ::testing::Test {
 protected:
  KeyCacheTest() { options_.max_calls = 8; }
  ~KeyCacheTest() override { vault_.ReleaseCalls(); }

  KeyCache& cache() {
    if (cache_ == nullptr) {
      auto made =
          KeyCache::Create(options_, source_, *served_by_, budget_, clock_, random_, listener_);
      EXPECT_THAT(made, IsOk());
      cache_ = std::move(*made);
    }
    return *cache_;
  }

  HubUid NewHub(const std::string& key_name = "key", absl::Duration grace = absl::Hours(1),
                const std::string& vault_uri = "https://contoso.vault.azure.net") {
    const HubUid hub = random_.NewUid<HubUid>();
    HubKeyRecords records;
    records.tenant = "contoso";
    records.key = {vault_uri, key_name, "", ""};
    records.outage_grace = grace;
    auto minted = MintDek(vault_, records.key, records.tenant, hub, 1, random_, clock_,
                          absl::InfiniteFuture());
    EXPECT_THAT(minted, IsOk());
    records.deks.push_back(minted->record);
    const auto secrets = crypto::HubSecrets::Generate(random_);
    records.sealed_hub_secrets = std::string(
        crypto::SealHubSecrets(*minted->dek.MakeSealKey(), "contoso", hub, secrets, random_)
            ->bytes());
    source_.Set(hub, records);
    return hub;
  }

  absl::StatusOr<HubKeysPtr> Fetch(HubUid hub) {
    absl::Notification finished;
    absl::StatusOr<HubKeysPtr> result;
    cache().Fetch(hub, absl::InfiniteFuture(), [&](absl::StatusOr<HubKeysPtr> keys) {
      result = std::move(keys);
      finished.Notify();
    });
    AwaitInTime(finished);
    return result;
  }

  // Lets time pass while a call waits for its vault's budget.
  void AwaitInTime(absl::Notification& finished) {
    while (!finished.WaitForNotificationWithTimeout(absl::Milliseconds(5))) {
      if (cache().Stats().calls_in_line == 0) continue;
      clock_.Advance(absl::Milliseconds(100));
      cache().Tick();
    }
  }

  // One tick, and the end of whatever it started.
  void Tick() {
    cache().Tick();
    // What waits in line for its vault's budget waits for the clock.
    for (KeyCacheStats stats = cache().Stats(); stats.calls_under_way > stats.calls_in_line;
         stats = cache().Stats()) {
      std::this_thread::yield();
    }
  }
  // Lets virtual time pass in steps, ticking after each.
  void Pass(absl::Duration duration, absl::Duration step = absl::Seconds(1)) {
    for (absl::Duration passed; passed < duration; passed += step) {
      clock_.Advance(step);
      Tick();
    }
  }

  KeyCacheOptions options_;
  FakeSource source_;
  testing::FakeKeyVault vault_;
  vault::KeyVault* served_by_ = &vault_;  // what the cache calls
  testing::VirtualClock clock_;
  vault::CallBudget budget_{clock_};
  crypto::SystemRandom random_;
  RecordingListener listener_;
  std::unique_ptr<KeyCache> cache_;
};

// Decides at once, and may hold its answer back: a slow response.
class SlowAnswers final : public testing::ForwardingKeyVault {
 public:
  using ForwardingKeyVault::ForwardingKeyVault;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time t) override {
    auto answer = ForwardingKeyVault::Unwrap(key, wrapped, t);
    absl::MutexLock lock(&mutex_);
    if (!hold_next_) return answer;
    hold_next_ = false;
    held_ = true;
    mutex_.Await(absl::Condition(&release_));
    held_ = release_ = false;
    return answer;
  }
  void HoldNextAnswer() {
    absl::MutexLock lock(&mutex_);
    hold_next_ = true;
  }
  void AwaitHeld() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&held_));
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    release_ = true;
  }

 private:
  absl::Mutex mutex_;
  bool hold_next_ = false, held_ = false, release_ = false;
};

class KeyCacheRacesTest : public KeyCacheTest {
 protected:
  void Start(HubUid hub) {
    cache().Fetch(hub, absl::InfiniteFuture(), [this](auto) { ++ended_; });
  }
  void AwaitEnded(int count) {
    while (ended_ < count) {
      absl::SleepFor(absl::Milliseconds(1));
      if (cache().Stats().calls_in_line == 0) continue;
      clock_.Advance(absl::Milliseconds(100));  // some wait for their vault's budget
      cache().Tick();
    }
  }
  void AwaitIdle() {
    while (cache().Stats().calls_under_way > 0) std::this_thread::yield();
  }
  // Adds a generation to the hub's records; returns the one before it.
  DekId AddGeneration(HubUid hub) {
    HubKeyRecords records = *source_.Load(hub);
    const DekId before = records.deks.back().facts.dek_id;
    auto minted = MintDek(vault_, records.key, records.tenant, hub,
                          static_cast<uint32_t>(records.deks.size()) + 1, random_, clock_,
                          absl::InfiniteFuture());
    EXPECT_THAT(minted, IsOk());
    records.deks.push_back(minted->record);
    source_.Set(hub, records);
    return before;
  }
  absl::StatusOr<OpenKeyPtr> FetchOpen(HubUid hub, DekId dek) {
    absl::Notification finished;
    absl::StatusOr<OpenKeyPtr> result;
    cache().FetchOpenKey(hub, dek, absl::InfiniteFuture(), [&](absl::StatusOr<OpenKeyPtr> key) {
      result = std::move(key);
      finished.Notify();
    });
    AwaitInTime(finished);
    return result;
  }

  SlowAnswers slow_{vault_};
  std::atomic<int> ended_ = 0;
};

}  // namespace cmkstore::keycache
