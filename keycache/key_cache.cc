#include "keycache/key_cache.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "keycache/key_cache_core.h"

namespace cmkstore::keycache {

absl::string_view ToString(KeyAvailability availability) {
  switch (availability) {
    case KeyAvailability::kUnknown: return "unknown";
    case KeyAvailability::kAvailable: return "available";
    case KeyAvailability::kUnreachable: return "unreachable";
    case KeyAvailability::kDenied: return "denied";
    case KeyAvailability::kLockedByPush: return "locked_by_push";
  }
  return "unknown";
}

absl::StatusOr<std::unique_ptr<KeyCache>> KeyCache::Create(const KeyCacheOptions& options,
                                                           WrappedDekSource& source,
                                                           vault::KeyVault& vault, Clock& clock,
                                                           crypto::Random& random,
                                                           KeyStateListener& listener) {
  CMK_RETURN_IF_ERROR(options.Validate());
  return std::unique_ptr<KeyCache>(
      new KeyCache(std::make_shared<Core>(options, source, vault, clock, random, listener)));
}

KeyCache::KeyCache(std::shared_ptr<Core> core) : core_(std::move(core)) {}
KeyCache::~KeyCache() { core_->Stop(); }

absl::StatusOr<HubKeysPtr> KeyCache::Lookup(HubUid hub) { return core_->Lookup(hub); }
void KeyCache::Fetch(HubUid hub, absl::Time deadline, KeysDone done) {
  core_->Fetch(hub, deadline, std::move(done));
}
absl::StatusOr<OpenKeyPtr> KeyCache::LookupOpenKey(HubUid hub, DekId dek) {
  return core_->LookupOpenKey(hub, dek);
}
void KeyCache::FetchOpenKey(HubUid hub, DekId dek, absl::Time deadline, OpenKeyDone done) {
  core_->FetchOpenKey(hub, dek, deadline, std::move(done));
}
void KeyCache::Lock(HubUid hub) { core_->Lock(hub); }
void KeyCache::Unlock(HubUid hub) { core_->Unlock(hub); }
void KeyCache::Forget(HubUid hub) { core_->Forget(hub); }
void KeyCache::Tick() { core_->Tick(); }
HubKeyStatus KeyCache::Status(HubUid hub) { return core_->Status(hub); }
KeyCacheStats KeyCache::Stats() { return core_->Stats(); }

KeyCache::Core::Core(const KeyCacheOptions& options, WrappedDekSource& source,
                     vault::KeyVault& vault, Clock& clock, crypto::Random& random,
                     KeyStateListener& listener)
    : options_(options),
      source_(source),
      opener_(vault),
      clock_(clock),
      random_(random),
      listener_(listener),
      worker_(WorkerOptions{.name = "keycache",
                            .threads = options.max_calls,
                            .max_queued = options.max_queued_calls}) {}

// Whether the hub may be served now from what is cached (KL-4, KL-5, KL-6).
absl::Status KeyCache::Core::CheckServed(const Hub& hub) const {
  if (hub.locked_by_push) return HubLocked();
  const absl::Time now = clock_.MonotonicNow();
  if (now < hub.refusal_until) return hub.refusal;
  const auto found = vault_keys_.find(hub.vault_key);
  if (found == vault_keys_.end()) return absl::OkStatus();
  const VaultKey& key = *found->second;
  if (key.availability == KeyAvailability::kDenied) return key.refusal;
  if (key.availability == KeyAvailability::kUnreachable &&
      now >= key.last_success + hub.outage_grace) {
    return VaultUnreachable(absl::StrCat(key.cause, "; the hub's outage grace has passed"),
                            options_.unhealthy_probe_interval);
  }
  return absl::OkStatus();
}

absl::StatusOr<HubKeysPtr> KeyCache::Core::LookupLocked(HubUid uid) {
  const auto found = hubs_.find(uid);
  if (found == hubs_.end()) return nullptr;
  Hub& hub = *found->second;
  CMK_RETURN_IF_ERROR(CheckServed(hub));
  if (hub.keys == nullptr) return nullptr;
  const auto key = vault_keys_.find(hub.vault_key);
  const bool outage = key != vault_keys_.end() &&
                      key->second->availability == KeyAvailability::kUnreachable;
  // Past its lifetime an entry serves only while the vault is known not to answer (KL-1, KL-5).
  if (!outage && clock_.MonotonicNow() >= hub.keys->unwrapped_at + options_.entry_lifetime) {
    return nullptr;
  }
  hub.used = true;
  recency_.splice(recency_.begin(), recency_, hub.recency);
  return hub.keys;
}

absl::StatusOr<HubKeysPtr> KeyCache::Core::Lookup(HubUid hub) {
  absl::MutexLock lock(&mutex_);
  absl::StatusOr<HubKeysPtr> keys = LookupLocked(hub);
  if (keys.ok()) ++(*keys == nullptr ? stats_.misses : stats_.hits);
  return keys;
}

absl::StatusOr<OpenKeyPtr> KeyCache::Core::LookupOpenKey(HubUid uid, DekId dek) {
  absl::MutexLock lock(&mutex_);
  CMK_ASSIGN_OR_RETURN(HubKeysPtr keys, LookupLocked(uid));
  if (keys == nullptr) return nullptr;  // the older keys live no longer than the newest
  const Hub& hub = *hubs_.find(uid)->second;
  const auto found = hub.older.find(dek);
  return found == hub.older.end() ? nullptr : found->second;
}

void KeyCache::Core::Fetch(HubUid hub, absl::Time deadline, KeysDone done) {
  absl::StatusOr<HubKeysPtr> cached = Lookup(hub);
  if (!cached.ok() || *cached != nullptr) {
    done(std::move(cached));
    return;
  }
  Join(hub, DekId(), deadline, [this, hub, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    absl::StatusOr<HubKeysPtr> keys = Lookup(hub);
    // Locked, or evicted, between the landing and here.
    if (keys.ok() && *keys == nullptr) keys = StoreBusy();
    done(std::move(keys));
  });
}

void KeyCache::Core::FetchOpenKey(HubUid hub, DekId dek, absl::Time deadline, OpenKeyDone done) {
  // The newest keys first: they say whether the hub is served at all, and the older ones hang on them.
  Fetch(hub, deadline, [=, this, done = std::move(done)](absl::StatusOr<HubKeysPtr> keys) {
    if (!keys.ok()) return done(keys.status());
    if ((*keys)->open.dek_id() == dek) {
      return done(std::make_shared<const crypto::OpenKey>((*keys)->open));
    }
    absl::StatusOr<OpenKeyPtr> cached = LookupOpenKey(hub, dek);
    if (!cached.ok() || *cached != nullptr) return done(std::move(cached));
    Join(hub, dek, deadline, [this, hub, dek, done](const absl::Status& status) {
      if (!status.ok()) return done(status);
      absl::StatusOr<OpenKeyPtr> key = LookupOpenKey(hub, dek);
      if (key.ok() && *key == nullptr) key = StoreBusy();
      done(std::move(key));
    });
  });
}

KeyCache::Core::Hub& KeyCache::Core::HubFor(HubUid uid) {
  std::unique_ptr<Hub>& hub = hubs_[uid];
  if (hub == nullptr) {
    hub = std::make_unique<Hub>();
    recency_.push_front(uid);
    hub->recency = recency_.begin();
  }
  return *hub;
}

uint32_t KeyCache::Core::Wipe(Hub& hub) {
  const auto wiped = static_cast<uint32_t>((hub.keys == nullptr ? 0 : 1) + hub.older.size());
  hub.keys.reset();
  hub.older.clear();
  ++hub.epoch;
  return wiped;
}

void KeyCache::Core::EvictBeyondBound() {
  while (hubs_.size() > options_.max_hubs) {
    const HubUid oldest = recency_.back();
    Hub& hub = *hubs_.find(oldest)->second;
    // Never what somebody waits for, and never a refusal.
    if (!hub.flights.empty() || hub.locked_by_push) return;
    if (auto key = vault_keys_.find(hub.vault_key); key != vault_keys_.end()) {
      if (key->second->availability == KeyAvailability::kDenied) return;
      key->second->hubs.erase(oldest);
      if (key->second->hubs.empty() && !key->second->probing) vault_keys_.erase(key);
    }
    recency_.pop_back();
    hubs_.erase(oldest);
    ++stats_.evictions;
  }
}

void KeyCache::Core::Lock(HubUid uid) {
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    LockReport report;
    report.hub = uid;
    report.by_push = true;
    report.cause = "locked by its key administrator";
    report.detected_at = clock_.WallNow();
    if (auto key = vault_keys_.find(hub.vault_key); key != vault_keys_.end()) {
      report.last_success = key->second->last_success_wall;
    }
    hub.locked_by_push = true;
    report.keys_wiped = Wipe(hub);
    report.locked_at = clock_.WallNow();
    events.locked.push_back(std::move(report));
  }
  Tell(events);
}

void KeyCache::Core::Unlock(HubUid uid) {
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    if (!hub.locked_by_push) return;
    hub.locked_by_push = false;
    events.unlocked.push_back(uid);
  }
  Tell(events);
}

void KeyCache::Core::Forget(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  const auto found = hubs_.find(uid);
  if (found == hubs_.end()) return;
  Wipe(*found->second);
  found->second->refusal_until = absl::InfinitePast();
}

HubKeyStatus KeyCache::Core::Status(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  HubKeyStatus status;
  const auto found = hubs_.find(uid);
  if (found == hubs_.end()) return status;
  const Hub& hub = *found->second;
  status.cached = hub.keys != nullptr;
  if (const auto key = vault_keys_.find(hub.vault_key); key != vault_keys_.end()) {
    status.availability = key->second->availability;
    status.cause = key->second->cause;
    status.last_success = key->second->last_success_wall;
    status.state_since = key->second->since_wall;
    if (status.availability == KeyAvailability::kUnreachable) {
      status.refuse_after = key->second->last_success_wall + hub.outage_grace;
    }
  }
  if (hub.locked_by_push) status.availability = KeyAvailability::kLockedByPush;
  return status;
}

KeyCacheStats KeyCache::Core::Stats() {
  absl::MutexLock lock(&mutex_);
  KeyCacheStats stats = stats_;
  for (const auto& [uid, hub] : hubs_) {
    stats.cached_hubs += hub->keys == nullptr ? 0 : 1;
    stats.locked_hubs += hub->locked_by_push ? 1 : 0;
    stats.calls_under_way += hub->flights.size();
  }
  for (const auto& [name, key] : vault_keys_) {
    stats.calls_under_way += key->probing ? 1 : 0;
    stats.vault_keys_unreachable += key->availability == KeyAvailability::kUnreachable ? 1 : 0;
    stats.vault_keys_denied += key->availability == KeyAvailability::kDenied ? 1 : 0;
  }
  return stats;
}

}  // namespace cmkstore::keycache
