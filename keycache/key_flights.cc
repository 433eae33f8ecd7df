// Cold misses and probes of KeyCache: the part that calls the vault.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "keycache/key_cache_core.h"
#include "vault/vault_errors.h"

namespace cmkstore::keycache {
namespace {

std::string VaultKeyName(const vault::KeyRef& key) {
  return absl::StrCat(key.vault_uri, "/keys/", key.key_name, " as ", key.identity);
}

// Refresh when this part of the lifetime has passed, so that a hub in use never waits for its vault.
constexpr double kRefreshAt = 0.7;

}  // namespace

void KeyCache::Core::Join(HubUid uid, DekId dek, absl::Time deadline,
                          std::function<void(const absl::Status&)> done) {
  uint64_t epoch = 0;
  bool first = false;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    std::vector<Waiter>& waiters = hub.flights[dek];
    if (waiters.size() < options_.max_waiters_per_key) {
      first = waiters.empty();
      if (!first) ++stats_.waits;
      waiters.push_back({deadline, std::move(done)});
      epoch = hub.epoch;
      done = nullptr;
    } else {
      ++stats_.rejected_waiters;
    }
  }
  if (done != nullptr) {
    done(QuotaExceeded("too many calls wait for this hub's key", absl::Seconds(1)));
    return;
  }
  if (first && !worker_.TryRun([this, uid, dek, epoch] { RunFlight(uid, dek, epoch); })) {
    Land(uid, dek, StoreBusy());
  }
}

void KeyCache::Core::RunFlight(HubUid uid, DekId dek, uint64_t epoch) {
  absl::StatusOr<HubKeyRecords> records = source_.Load(uid);
  if (!records.ok()) return Land(uid, dek, records.status());
  if (records->locked_by_push) {
    {
      absl::MutexLock lock(&mutex_);
      HubFor(uid).locked_by_push = true;  // remembered from before a restart (KL-6)
    }
    return Land(uid, dek, HubLocked());
  }
  const absl::Time began = clock_.MonotonicNow();
  const absl::Time deadline = clock_.WallNow() + options_.vault_call_timeout;
  absl::StatusOr<HubKeysPtr> keys = HubKeysPtr();
  absl::StatusOr<OpenKeyPtr> older = OpenKeyPtr();
  if (dek.IsZero()) {
    // The lifetime counts from before the call: the vault may have decided at any moment of it (KL-1).
    keys = opener_.OpenNewest(uid, *records, deadline, began);
  } else {
    older = opener_.OpenGeneration(*records, dek, deadline);
  }
  absl::Status status = dek.IsZero() ? keys.status() : older.status();

  Events events;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    hub.vault_key = VaultKeyName(records->key);
    hub.outage_grace = records->outage_grace;
    std::unique_ptr<VaultKey>& key = vault_keys_[hub.vault_key];
    if (key == nullptr) {
      key = std::make_unique<VaultKey>();
      key->ref = records->key;
    }
    if (!records->deks.empty()) key->sample = records->deks.back();
    key->hubs.insert(uid);
    ++stats_.unwraps;
    Record(*key, status, /*probe=*/false, events);
    if (status.ok() && hub.epoch == epoch && !hub.locked_by_push) {
      if (dek.IsZero()) {
        hub.keys = *keys;
        hub.used = false;
      } else {
        hub.older[dek] = *older;
      }
      hub.refusal_until = absl::InfinitePast();
      EvictBeyondBound();
    } else if (!status.ok()) {
      ++stats_.unwrap_failures;
      const bool denied = vault::OutcomeOf(status) == vault::VaultOutcome::kDenied;
      // What is cached goes on serving until the refusal is confirmed; a hub that is not is refused at once.
      if (denied && hub.keys == nullptr) {
        hub.refusal = status;
        hub.refusal_until = began + Jittered(options_.negative_lifetime);
      } else if (!denied && hub.keys != nullptr && CheckServed(hub).ok()) {
        status = absl::OkStatus();  // an outage within the grace period (KL-5)
      }
    }
  }
  Tell(events);
  Land(uid, dek, status);
}

void KeyCache::Core::Land(HubUid uid, DekId dek, const absl::Status& status) {
  std::vector<Waiter> waiters;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = hubs_.find(uid);
    if (found == hubs_.end()) return;
    waiters = std::move(found->second->flights[dek]);
    found->second->flights.erase(dek);
  }
  for (const Waiter& waiter : waiters) waiter.done(status);
}

absl::Duration KeyCache::Core::Jittered(absl::Duration duration) {
  uint8_t byte = 0;
  random_.Fill({&byte, 1});
  return duration * (1 + options_.probe_jitter * (byte / 127.5 - 1));
}

// Takes note of an answer of the vault (KL-3).
void KeyCache::Core::Record(VaultKey& key, const absl::Status& status, bool probe, Events& events) {
  const absl::Time now = clock_.MonotonicNow();
  const absl::Time wall = clock_.WallNow();
  const KeyAvailability before = key.availability;
  const auto become = [&](KeyAvailability availability) {
    if (key.availability != availability) key.since_wall = wall;
    key.availability = availability;
  };
  // A fetch may bring the next probe forward, never put it off: else busy neighbours could starve it (KL-2).
  const auto probe_within = [&](absl::Duration duration) {
    const absl::Time next = now + Jittered(duration);
    key.next_probe = probe ? next : std::min(key.next_probe, next);
  };
  switch (vault::OutcomeOf(status)) {
    case vault::VaultOutcome::kHealthy:
      become(KeyAvailability::kAvailable);
      key.cause.clear();
      key.last_success = now;
      key.last_success_wall = wall;
      key.suspected = false;
      key.first_refusal_wall = absl::InfiniteFuture();
      key.next_probe = now + Jittered(options_.probe_interval);
      if (before == KeyAvailability::kDenied) {
        for (HubUid uid : key.hubs) {
          const auto hub = hubs_.find(uid);
          if (hub == hubs_.end()) continue;  // evicted since
          hub->second->refusal_until = absl::InfinitePast();
          events.unlocked.push_back(uid);
        }
      }
      if (before == KeyAvailability::kUnreachable) events.reachable.push_back(key.ref.vault_uri);
      return;
    case vault::VaultOutcome::kDenied:
      key.cause = std::string(status.message());
      key.refusal = status;
      if (before == KeyAvailability::kDenied) {
        probe_within(options_.unhealthy_probe_interval);
      } else if (probe && key.suspected) {
        become(KeyAvailability::kDenied);
        key.next_probe = now + Jittered(options_.unhealthy_probe_interval);
        LockHubsOf(key, events);
      } else if (!key.suspected) {
        key.suspected = true;
        key.first_refusal_wall = wall;
        key.next_probe = now + options_.confirm_delay;
      }
      return;
    case vault::VaultOutcome::kCorrupt:
    case vault::VaultOutcome::kUnfit:
      // The record is bad, or the key cannot wrap: nobody withdrew anything. Page, never lock (KL-3).
      Log(LogLevel::kError, "wrapped_dek_unusable",
          {{"vault", key.ref.vault_uri}, {"reason", ReasonOf(status)}});
      probe_within(options_.probe_interval);
      return;
    case vault::VaultOutcome::kUnreachable:
    case vault::VaultOutcome::kThrottled:
    case vault::VaultOutcome::kLoginFailed:
      if (before == KeyAvailability::kDenied) {  // an outage does not take a refusal back
        probe_within(options_.unhealthy_probe_interval);
        return;
      }
      become(KeyAvailability::kUnreachable);
      key.cause = std::string(status.message());
      probe_within(options_.unhealthy_probe_interval);
      if (before != KeyAvailability::kUnreachable) {
        events.unreachable.emplace_back(key.ref.vault_uri, ReasonOf(status));
      }
      return;
  }
}

void KeyCache::Core::LockHubsOf(VaultKey& key, Events& events) {
  for (HubUid uid : key.hubs) {
    const auto found = hubs_.find(uid);
    if (found == hubs_.end()) continue;  // evicted since
    Hub& hub = *found->second;
    LockReport report;
    report.hub = uid;
    report.cause = key.cause;
    report.detected_at = key.first_refusal_wall;
    report.last_success = key.last_success_wall;
    report.keys_wiped = Wipe(hub);
    report.locked_at = clock_.WallNow();
    events.locked.push_back(std::move(report));
  }
}

void KeyCache::Core::Tick() {
  const absl::Time now = clock_.MonotonicNow();
  const absl::Time wall = clock_.WallNow();
  std::vector<std::string> probes;
  std::vector<std::pair<HubUid, uint64_t>> refreshes;
  std::vector<Waiter> late;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [name, key] : vault_keys_) {
      if (key->probing || now < key->next_probe) continue;
      key->probing = true;
      probes.push_back(name);
    }
    RefreshAhead(refreshes);
    for (auto& [uid, hub] : hubs_) {
      for (auto& [dek, waiters] : hub->flights) {
        for (Waiter& waiter : waiters) {
          if (waiter.deadline > wall) continue;
          late.push_back(std::move(waiter));
          // Stays in line, answered: the flight's first waiter marks that it is under way.
          waiter = {absl::InfiniteFuture(), [](const absl::Status&) {}};
        }
      }
    }
  }
  for (const Waiter& waiter : late) waiter.done(DeadlineExceeded("the hub's key"));
  for (const std::string& name : probes) {
    if (worker_.TryRun([this, name] { Probe(name); })) continue;
    absl::MutexLock lock(&mutex_);
    if (auto key = vault_keys_.find(name); key != vault_keys_.end()) key->second->probing = false;
  }
  for (const auto& [uid, epoch] : refreshes) {
    Join(uid, DekId(), absl::InfiniteFuture(), [](const absl::Status&) {});
  }
}

void KeyCache::Core::RefreshAhead(std::vector<std::pair<HubUid, uint64_t>>& due) {
  const absl::Time now = clock_.MonotonicNow();
  for (auto& [uid, hub] : hubs_) {
    if (hub->keys == nullptr || hub->flights.contains(DekId())) continue;
    const absl::Duration age = now - hub->keys->unwrapped_at;
    const auto key = vault_keys_.find(hub->vault_key);
    const bool healthy = key != vault_keys_.end() &&
                         key->second->availability == KeyAvailability::kAvailable;
    if (age >= options_.entry_lifetime && healthy && !key->second->suspected) {
      Wipe(*hub);  // not used since it could have been refreshed
    } else if (age >= options_.entry_lifetime * kRefreshAt && healthy &&
               hub->used) {
      due.emplace_back(uid, hub->epoch);
    }
  }
}

void KeyCache::Core::Probe(const std::string& name) {
  vault::KeyRef ref;
  WrappedDekRecord sample;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = vault_keys_.find(name);
    if (found == vault_keys_.end()) return;
    ref = found->second->ref;
    sample = found->second->sample;
  }
  const absl::Status status =
      opener_.Probe(ref, sample, clock_.WallNow() + options_.vault_call_timeout);
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    ++stats_.unwraps;
    ++stats_.probes;
    if (!status.ok()) ++stats_.unwrap_failures;
    const auto found = vault_keys_.find(name);
    if (found == vault_keys_.end()) return;
    found->second->probing = false;
    Record(*found->second, status, /*probe=*/true, events);
  }
  Tell(events);
}

void KeyCache::Core::Tell(const Events& events) {
  for (const LockReport& report : events.locked) listener_.OnLocked(report);
  for (HubUid hub : events.unlocked) listener_.OnUnlocked(hub);
  for (const auto& [vault, cause] : events.unreachable) {
    listener_.OnVaultUnreachable(vault, cause);
  }
  for (const std::string& vault : events.reachable) listener_.OnVaultReachable(vault);
}

}  // namespace cmkstore::keycache
