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

absl::StatusOr<std::unique_ptr<KeyCache>> KeyCache::Create(
    const KeyCacheOptions& options, WrappedDekSource& source, vault::KeyVault& vault,
    vault::CallBudget& budget, Clock& clock, crypto::Random& random, KeyStateListener& listener) {
  CMK_RETURN_IF_ERROR(options.Validate());
  return std::unique_ptr<KeyCache>(new KeyCache(
      std::make_shared<Core>(options, source, vault, budget, clock, random, listener)));
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
void KeyCache::Lock(HubUid hub, std::optional<uint64_t> revision) { core_->Lock(hub, revision); }
void KeyCache::Unlock(HubUid hub, uint64_t revision) { core_->Unlock(hub, revision); }
void KeyCache::Forget(HubUid hub, bool is_gone) { core_->Forget(hub, is_gone); }
void KeyCache::Rebind(HubUid hub) { core_->Rebind(hub); }
void KeyCache::Supersede(HubUid hub) { core_->Supersede(hub); }
void KeyCache::SetOutageGrace(HubUid hub, absl::Duration grace, uint64_t revision) {
  core_->SetOutageGrace(hub, grace, revision);
}
void KeyCache::Tick() { core_->Tick(); }
HubKeyStatus KeyCache::Status(HubUid hub) { return core_->Status(hub); }
KeyCacheStats KeyCache::Stats() { return core_->Stats(); }
void KeyCache::Stop() { core_->Stop(); }

KeyCache::Core::Core(const KeyCacheOptions& options, WrappedDekSource& source,
                     vault::KeyVault& vault, vault::CallBudget& budget, Clock& clock,
                     crypto::Random& random, KeyStateListener& listener)
    : options_(options),
      shares_(options),
      source_(source),
      clock_(clock),
      budget_(budget),
      retrying_(vault, clock, [this](const vault::KeyRef& key, auto&) { return MayRetry(key); }),
      opener_(retrying_),
      sentinel_(vault),
      random_(random),
      listener_(listener),
      fetches_(VaultLanesOptions{.name = "unwrap",
                                 .threads = shares_.fetches,
                                 .slow_threads = shares_.slow_fetches,
                                 .per_vault = shares_.fetches_per_vault,
                                 .slow_per_vault = VaultCallShares::kSlowPerVault,
                                 .max_calls = options.max_queued_calls},
               budget, clock),
      probes_(VaultLanesOptions{.name = "probe",
                                .threads = shares_.probes,
                                .slow_threads = shares_.slow_probes,
                                .per_vault = shares_.probes_per_vault,
                                .slow_per_vault = VaultCallShares::kSlowPerVault,
                                .max_calls = options.max_queued_calls,
                                .on_credit = true},
              budget, clock) {}

// Whether the hub may be served now from what is cached under `key` (KL-4, KL-5, KL-6).
absl::Status KeyCache::Core::CheckServed(const Hub& hub, const VaultKey* key) const {
  if (hub.locked_by_push) return HubLocked();
  const absl::Time now = clock_.MonotonicNow();
  if (now < hub.refusal_until) return hub.refusal;
  if (key == nullptr) return absl::OkStatus();
  if (key->availability == KeyAvailability::kDenied) return key->refusal;
  if (now < key->last_success + hub.outage_grace) return absl::OkStatus();
  return Annotate(Silence(*key), key->last_success == absl::InfinitePast()
                                     ? "the hub's key is not in memory since the server's start"
                                     : "the hub's outage grace has passed");
}

absl::Status KeyCache::Core::Silence(const VaultKey& key) const {
  if (key.availability == KeyAvailability::kUnreachable) return key.outage;
  // It throttles, and this key has not been asked for since.
  return budget_.CheckPause(key.ref.vault_uri, clock_.WallNow());
}

// Past its lifetime, or longer after the vault's last word on its key than is promised, an entry
// serves only while the vault is known not to answer (KL-1, KL-2, KL-5).
bool KeyCache::Core::Expired(absl::Time unwrapped_at, const VaultKey* key) const {
  const absl::Time now = clock_.MonotonicNow();
  // A vault of more keys than its budget allows to probe in time: those in use ask for themselves.
  const bool unproven = key != nullptr && now >= key->last_success + kPromise;
  return (unproven || now >= unwrapped_at + options_.entry_lifetime) &&
         (key == nullptr || Silence(*key).ok());
}

absl::StatusOr<HubKeysPtr> KeyCache::Core::LookupLocked(HubUid uid) {
  const auto found = hubs_.find(uid);
  if (found == hubs_.end()) return nullptr;
  Hub& hub = *found->second;
  CMK_RETURN_IF_ERROR(CheckServed(hub, hub.under));
  if (hub.keys == nullptr || Expired(hub.keys->unwrapped_at, hub.under)) return nullptr;
  const absl::Time now = clock_.MonotonicNow();
  if (!std::exchange(hub.used, true) &&
      now >= hub.keys->unwrapped_at + options_.entry_lifetime * kRefreshAt) {
    // Nobody had used it when its refresh was due. Without one now, it would be gone at its end,
    // and a vault that has stopped answering meanwhile might not be known not to (KL-5).
    agenda_.emplace(now, uid);
  }
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
  if (keys == nullptr) return nullptr;  // the older keys serve only where the newest does
  if (keys->open.dek_id() == dek) return OpenKeyPtr(keys, &keys->open);
  const Hub& hub = *hubs_.find(uid)->second;
  const auto found = hub.older.find(dek);
  if (found == hub.older.end()) return nullptr;
  const Older& older = found->second;
  if (clock_.MonotonicNow() < older.refusal_until) return older.refusal;
  CMK_RETURN_IF_ERROR(CheckServed(hub, older.under));
  if (older.key == nullptr || Expired(older.unwrapped_at, older.under)) return nullptr;
  return older.key;
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

// Takes the hub off the key's list if nothing of it hangs on the key any more.
void KeyCache::Core::Leave(HubUid uid, const Hub& hub, VaultKey* key) {
  if (key == nullptr || hub.under == key) return;
  for (const auto& [dek, older] : hub.older) {
    if (older.under == key) return;
  }
  key->hubs.erase(uid);
  DropIfUnused(key);
}

void KeyCache::Core::DropIfUnused(VaultKey* key) {
  if (key->hubs.empty() && !key->probing && key->calls == 0) {
    vault_keys_.erase(std::string(key->name));
  }
}

uint32_t KeyCache::Core::Wipe(HubUid uid, Hub& hub) {
  uint32_t wiped = hub.keys == nullptr ? 0 : 1;
  hub.keys.reset();
  absl::flat_hash_set<VaultKey*> under;  // each is left once: that may be its end
  for (const auto& [dek, older] : hub.older) {
    wiped += older.key == nullptr ? 0 : 1;
    under.insert(older.under);
  }
  hub.older.clear();
  for (VaultKey* key : under) Leave(uid, hub, key);
  ++hub.epoch;
  return wiped;
}

void KeyCache::Core::Erase(HubUid uid) {
  const auto found = hubs_.find(uid);
  Hub& hub = *found->second;
  Wipe(uid, hub);
  Leave(uid, hub, std::exchange(hub.under, nullptr));
  recency_.erase(hub.recency);
  hubs_.erase(found);
}

// A refusal may go too: a denial is the vault's to repeat, and a durable push lock is on record.
void KeyCache::Core::EvictBeyondBound(Events& events) {
  for (size_t looked = 0; hubs_.size() > options_.max_hubs && looked < hubs_.size(); ++looked) {
    const HubUid oldest = recency_.back();
    const Hub& hub = *hubs_.find(oldest)->second;
    if (hub.flights.empty() && !hub.lock_only_here) {
      if (hub.keys != nullptr) events.forgotten.push_back(oldest);
      Erase(oldest);
      ++stats_.evictions;
    } else {
      recency_.splice(recency_.begin(), recency_, std::prev(recency_.end()));
    }
  }
}

void KeyCache::Core::Lock(HubUid uid, std::optional<uint64_t> revision) {
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    if (revision.has_value() && !NotePush(hub, *revision)) return;
    LockReport report;
    report.hub = uid;
    report.by_push = true;
    report.cause = "locked by its key administrator";
    report.detected_at = clock_.WallNow();
    if (hub.under != nullptr) report.last_success = hub.under->last_success_wall;
    const bool again = std::exchange(hub.locked_by_push, true);
    hub.lock_only_here = !revision.has_value() && (!again || hub.lock_only_here);
    report.keys_wiped = Wipe(uid, hub);
    if (again && report.keys_wiped == 0) return;  // the report of the lock itself stays the last
    hub.push_changed_wall = report.detected_at;
    report.locked_at = clock_.WallNow();
    events.locked.push_back(std::move(report));
  }
  Tell(events);
}

void KeyCache::Core::Unlock(HubUid uid, uint64_t revision) {
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = hubs_.find(uid);
    if (found == hubs_.end() || !NotePush(*found->second, revision)) return;
    Hub& hub = *found->second;
    hub.lock_only_here = false;
    if (!std::exchange(hub.locked_by_push, false)) return;
    hub.push_changed_wall = clock_.WallNow();
    ++hub.epoch;  // a flight that read the record before the unlock must not lock again
    // Of a hub whose vault was not heard in this process, the refusal of before may still stand.
    if (!hub.locked_by_denial && hub.under != nullptr) events.unlocked.push_back(uid);
  }
  Tell(events);
}

void KeyCache::Core::Forget(HubUid uid, bool is_gone) {
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = hubs_.find(uid);
    if (found == hubs_.end()) return;
    Hub& hub = *found->second;
    if (is_gone) hub.lock_only_here = false;
    if (hub.keys != nullptr) events.forgotten.push_back(uid);
    Wipe(uid, hub);
    hub.refusal_until = absl::InfinitePast();
    // What its key was refused is no word on the one that its records may name now.
    Leave(uid, hub, std::exchange(hub.under, nullptr));
  }
  Tell(events);
}

void KeyCache::Core::Supersede(HubUid uid) {
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = hubs_.find(uid);
    if (found == hubs_.end()) return;
    Hub& hub = *found->second;
    ++hub.epoch;  // a flight that read the records before would bring the superseded keys back
    const HubKeysPtr keys = std::exchange(hub.keys, nullptr);
    if (keys == nullptr) return;
    KeepOlder(uid, keys->open.dek_id(),
              {.key = std::make_shared<const crypto::OpenKey>(keys->open),
               .under = hub.under,
               .unwrapped_at = keys->unwrapped_at,
               .refusal = absl::OkStatus()});
    events.forgotten.push_back(uid);
  }
  Tell(events);
}

void KeyCache::Core::KeepOlder(HubUid uid, DekId dek, Older older) {
  Hub& hub = HubFor(uid);
  if (hub.older.size() >= options_.max_older_keys_per_hub && !hub.older.contains(dek)) {
    const auto oldest = std::min_element(
        hub.older.begin(), hub.older.end(),
        [](const auto& a, const auto& b) { return a.second.unwrapped_at < b.second.unwrapped_at; });
    VaultKey* under = oldest->second.under;
    hub.older.erase(oldest);
    Leave(uid, hub, under);
  }
  agenda_.emplace(older.unwrapped_at + options_.entry_lifetime, uid);
  // Rewrapped since it was fetched, it is under another key now.
  Leave(uid, hub, std::exchange(hub.older[dek], std::move(older)).under);
}

// A flight that read the hub's record before a change of it must not take the change back.
void KeyCache::Core::NoteGrace(Hub& hub, absl::Duration grace, uint64_t revision) {
  if (revision < hub.grace_revision) return;
  hub.grace_revision = revision;
  hub.outage_grace = grace;
}

void KeyCache::Core::SetOutageGrace(HubUid uid, absl::Duration grace, uint64_t revision) {
  absl::MutexLock lock(&mutex_);
  const auto found = hubs_.find(uid);
  if (found != hubs_.end()) NoteGrace(*found->second, grace, revision);
}

HubKeyStatus KeyCache::Core::Status(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  HubKeyStatus status;
  const auto found = hubs_.find(uid);
  if (found == hubs_.end()) return status;
  const Hub& hub = *found->second;
  status.cached = hub.keys != nullptr;
  if (const VaultKey* key = hub.under; key != nullptr) {
    status.availability = key->availability;
    status.cause = key->cause;
    status.last_success = key->last_success_wall;
    status.state_since = key->since_wall;
    if (status.availability == KeyAvailability::kUnreachable) {
      status.refuse_after =
          status.cached ? key->last_success_wall + hub.outage_grace : key->since_wall;
    }
    if (status.availability != KeyAvailability::kDenied &&
        clock_.MonotonicNow() < hub.refusal_until) {
      // Without keys it is refused at once, before a probe has confirmed it (KL-4).
      status.availability = KeyAvailability::kDenied;
      status.cause = std::string(hub.refusal.message());
      status.state_since = key->first_refusal_wall;
    }
  }
  for (const auto& [dek, older] : hub.older) {
    OlderKeyStatus& known = status.older[dek];
    if (older.under != nullptr) {
      known = {older.under->availability, older.under->cause,
               older.under->availability == KeyAvailability::kDenied};
    }
    if (clock_.MonotonicNow() < older.refusal_until) {
      if (HasReason(older.refusal, "CUSTOMER_KEY_REVOKED")) {
        known.availability = KeyAvailability::kDenied;
      }
      known.cause = std::string(older.refusal.message());
    }
  }
  if (hub.locked_by_push) status.availability = KeyAvailability::kLockedByPush;
  status.state_since = std::max(status.state_since, hub.push_changed_wall);
  return status;
}

KeyCacheStats KeyCache::Core::Stats() {
  absl::MutexLock lock(&mutex_);
  KeyCacheStats stats = stats_;
  for (VaultLanes* lanes : {&fetches_, &probes_}) {
    const VaultLanes::Counts counts = lanes->counts();
    stats.calls_under_way += counts.calls;
    stats.calls_in_line += counts.in_line;
  }
  for (const auto& [uid, hub] : hubs_) {
    stats.cached_hubs += hub->keys == nullptr ? 0 : 1;
    stats.locked_hubs += hub->locked_by_push || hub->locked_by_denial ? 1 : 0;
  }
  for (const auto& [name, key] : vault_keys_) {
    stats.vault_keys_unreachable += key->availability == KeyAvailability::kUnreachable ? 1 : 0;
    stats.vault_keys_denied += key->availability == KeyAvailability::kDenied ? 1 : 0;
    stats.vault_keys_available += key->availability == KeyAvailability::kAvailable ? 1 : 0;
    stats.vault_keys_unknown += key->availability == KeyAvailability::kUnknown ? 1 : 0;
    if (key->last_success == absl::InfinitePast()) continue;
    const absl::Duration age = clock_.MonotonicNow() - key->last_success;
    const size_t bucket = age < absl::Minutes(1)   ? 0
                          : age < absl::Minutes(5) ? 1
                          : age < absl::Hours(1)   ? 2
                                                   : 3;
    ++stats.success_ages[bucket];
    if (age > kPromise && key->availability == KeyAvailability::kAvailable && NeedsProbes(*key)) {
      ++stats.vault_keys_unproven;
    }
    if (key->availability == KeyAvailability::kUnreachable) {
      stats.oldest_success = std::max(stats.oldest_success, age);
    }
  }
  return stats;
}

}  // namespace cmkstore::keycache
