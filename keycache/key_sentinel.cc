// The sentinel of KeyCache: probes each vault key, judges every answer of a vault, locks and
// unlocks by it.

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "keycache/key_cache_core.h"
#include "vault/vault_errors.h"

namespace cmkstore::keycache {
namespace {

constexpr size_t kProbesOfAFailingVault = 2;

}  // namespace

absl::Duration KeyCache::Core::Jittered(absl::Duration duration) {
  uint8_t byte = 0;
  random_.Fill({&byte, 1});
  return duration * (1 + options_.probe_jitter * (byte / 127.5 - 1));
}

// A healthy key under which nothing is cached needs no watching: its next use asks the vault.
bool KeyCache::Core::NeedsProbes(const VaultKey& key) const {
  if (key.suspected || key.availability != KeyAvailability::kAvailable) return true;
  return std::any_of(key.hubs.begin(), key.hubs.end(), [&](HubUid uid) {
    const Hub& hub = *hubs_.find(uid)->second;
    if (hub.under == &key && hub.keys != nullptr) return true;
    return std::any_of(hub.older.begin(), hub.older.end(), [&](const auto& older) {
      return older.second.under == &key && older.second.key != nullptr;
    });
  });
}

// Probes of a vault that does not answer are few: what one of its keys is told, its others believe.
// A key that was refused is asked for itself, always.
bool KeyCache::Core::BelievesNeighbours(VaultKey& key, const VaultProbes& neighbours,
                                        Events& events) {
  if (key.suspected || key.availability == KeyAvailability::kDenied) return false;
  if (neighbours.in_line < kProbesOfAFailingVault || !budget_.failing(key.ref.vault_uri)) {
    return false;
  }
  if (key.availability != KeyAvailability::kUnreachable) {
    key.outage = neighbours.outage.ok() ? VaultUnreachable("not for its other keys either",
                                                           options_.unhealthy_probe_interval)
                                        : neighbours.outage;
    key.cause = std::string(key.outage.message());
    events.unreachable.emplace_back(key.ref.vault_uri, ReasonOf(key.outage));
  }
  Become(key, KeyAvailability::kUnreachable);
  key.next_probe = clock_.MonotonicNow() + Jittered(options_.unhealthy_probe_interval);
  return true;
}

void KeyCache::Core::StartDueProbes() {
  struct Due {
    std::string vault;
    std::string name;
    double calls_per_second;
  };
  std::vector<Due> due;
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_.MonotonicNow();
    absl::flat_hash_map<std::string, VaultProbes> vaults;
    std::vector<VaultKey*> candidates;
    for (auto& [name, key] : vault_keys_) {
      if (!key->probing && now < key->next_probe) continue;
      VaultProbes& probes = vaults[key->ref.vault_uri];
      // That one identity cannot log in says nothing to the keys of another.
      if (key->availability == KeyAvailability::kUnreachable &&
          vault::OutcomeOf(key->outage) != vault::VaultOutcome::kLoginFailed) {
        probes.outage = key->outage;
      }
      if (key->probing) {
        ++probes.in_line;
      } else if (!key->sample.has_value() || !NeedsProbes(*key)) {
        key->next_probe = now + options_.unhealthy_probe_interval;
      } else {
        candidates.push_back(key.get());
      }
    }
    for (VaultKey* key : candidates) {
      VaultProbes& probes = vaults[key->ref.vault_uri];
      if (BelievesNeighbours(*key, probes, events)) continue;
      key->probing = true;
      ++probes.in_line;
      due.push_back({key->ref.vault_uri, key->name, CallsPerSecond(key->ref, *key->sample)});
    }
  }
  Tell(events);
  for (const auto& [vault, name, rate] : due) {
    if (probes_.Run(vault, rate, [this, name = name] { return Probe(name); })) continue;
    absl::MutexLock lock(&mutex_);
    VaultKey& key = *vault_keys_.find(name)->second;
    key.probing = false;
    DropIfUnused(&key);
  }
}

// `probing` keeps the key and its sample until here.
bool KeyCache::Core::Probe(const std::string& name) {
  Answer answer;
  answer.probe = true;
  vault::KeyRef ref;
  WrappedDekRecord sample;
  {
    absl::MutexLock lock(&mutex_);
    const VaultKey& key = *vault_keys_.find(name)->second;
    ref = key.ref;
    sample = *key.sample;
    answer.hub = sample.facts.hub;
    answer.record = &sample;
    answer.denials = key.denials;
  }
  answer.began = clock_.MonotonicNow();
  answer.status = sentinel_.Probe(ref, sample, clock_.WallNow() + options_.vault_call_timeout);
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    ++stats_.unwraps;
    ++stats_.probes;
    if (!answer.status.ok()) ++stats_.unwrap_failures;
    VaultKey& key = *vault_keys_.find(name)->second;
    Record(key, answer, events);
    key.probing = false;
    DropIfUnused(&key);
  }
  Tell(events);
  listener_.OnUnwrapAsked(sample.facts.hub);
  return NoteAnswer(ref.vault_uri, answer.status);
}

void KeyCache::Core::Become(VaultKey& key, KeyAvailability availability) {
  if (key.availability != availability) key.since_wall = clock_.WallNow();
  key.availability = availability;
}

// Takes note of an answer of the vault (KL-3). A probe sets the time of the next one, counted from
// its begin; a fetch may bring it forward, never put it off: else busy neighbours could starve it
// (KL-2).
void KeyCache::Core::Record(VaultKey& key, const Answer& answer, Events& events) {
  if (answer.probe) key.next_probe = absl::InfiniteFuture();
  // What is denied or unreachable comes back by a probe only, and that needs a sample.
  if (!key.sample.has_value()) key.sample = *answer.record;
  switch (vault::OutcomeOf(answer.status)) {
    case vault::VaultOutcome::kHealthy: return RecordHealthy(key, answer, events);
    case vault::VaultOutcome::kDenied: return RecordDenied(key, answer, events);
    case vault::VaultOutcome::kCorrupt:
    case vault::VaultOutcome::kUnfit: return RecordUnusable(key, answer, events);
    case vault::VaultOutcome::kUnreachable:
    case vault::VaultOutcome::kThrottled:
    case vault::VaultOutcome::kLoginFailed: return RecordOutage(key, answer, events);
  }
}

// The record is bad, or the key cannot wrap: nobody withdrew anything. Page, never lock.
void KeyCache::Core::RecordUnusable(VaultKey& key, const Answer& answer, Events& events) {
  events.unusable.emplace_back(answer.hub, key.ref.vault_uri, ReasonOf(answer.status));
  key.next_probe =
      std::min(key.next_probe, answer.began + Jittered(options_.unhealthy_probe_interval));
  // That another record is bad says nothing of the key.
  if (key.sample->wrapped.ciphertext != answer.record->wrapped.ciphertext) return;
  if (!key.sample_proven) {
    if (key.probing && !answer.probe) return;  // the probe needs it, and will be told the same
    // By this sample the key may never come back: the next use asks, and brings another. No key is
    // in memory that it could unlock.
    key.sample.reset();
  } else if (key.availability != KeyAvailability::kUnreachable) {
    return;
  }
  // The vault answers: from now on only what it has said serves, and no grace (KL-5).
  if (key.availability == KeyAvailability::kUnreachable) {
    events.reachable.push_back(key.ref.vault_uri);
  }
  Become(key, key.sample_proven ? KeyAvailability::kAvailable : KeyAvailability::kUnknown);
  key.cause.clear();
}

void KeyCache::Core::RecordHealthy(VaultKey& key, const Answer& answer, Events& events) {
  const KeyAvailability before = key.availability;
  if (!std::exchange(key.sample_proven, true)) key.sample = *answer.record;
  if (answer.denials != key.denials) {  // refused since this call began: the later word counts
    if (answer.probe) key.next_probe = clock_.MonotonicNow() + options_.confirm_delay;
    return;
  }
  Become(key, KeyAvailability::kAvailable);
  key.cause.clear();
  key.last_success = std::max(key.last_success, answer.began);
  key.last_success_wall = clock_.WallNow();
  key.suspected = false;
  key.first_refusal_wall = absl::InfiniteFuture();
  key.next_probe = std::min(key.next_probe, answer.began + Jittered(options_.probe_interval));
  if (before == KeyAvailability::kUnreachable) events.reachable.push_back(key.ref.vault_uri);
  if (before != KeyAvailability::kDenied) return;
  for (HubUid uid : key.hubs) {
    Hub& hub = *hubs_.find(uid)->second;
    hub.refusal_until = absl::InfinitePast();
    for (auto& [dek, older] : hub.older) older.refusal_until = absl::InfinitePast();
    if (hub.under != &key || !std::exchange(hub.locked_by_denial, false)) continue;
    (hub.locked_by_push ? events.given_back : events.unlocked).push_back(uid);
  }
}

void KeyCache::Core::RecordDenied(VaultKey& key, const Answer& answer, Events& events) {
  ++key.denials;
  key.cause = std::string(answer.status.message());
  key.refusal = answer.status;
  if (key.availability == KeyAvailability::kDenied) {
    key.next_probe =
        std::min(key.next_probe, answer.began + Jittered(options_.unhealthy_probe_interval));
  } else if (answer.probe && key.suspected) {
    Confirm(key, events);
  } else {
    if (!std::exchange(key.suspected, true)) key.first_refusal_wall = clock_.WallNow();
    key.next_probe = std::min(key.next_probe, clock_.MonotonicNow() + options_.confirm_delay);
  }
}

void KeyCache::Core::RecordOutage(VaultKey& key, const Answer& answer, Events& events) {
  const absl::Time next = answer.began + Jittered(options_.unhealthy_probe_interval);
  key.next_probe = std::min(key.next_probe, next);
  if (key.availability == KeyAvailability::kDenied) return;  // an outage takes no refusal back
  if (key.suspected) {
    // The vault refused, and then says no more: fail closed.
    if (answer.probe) Confirm(key, events);
    return;
  }
  key.outage = answer.status;
  key.cause = std::string(answer.status.message());
  if (key.availability != KeyAvailability::kUnreachable) {
    events.unreachable.emplace_back(key.ref.vault_uri, ReasonOf(answer.status));
  }
  Become(key, KeyAvailability::kUnreachable);
}

// The refusal stands: wipes and locks all that hangs on the key (KL-4).
void KeyCache::Core::Confirm(VaultKey& key, Events& events) {
  const absl::Time now = clock_.MonotonicNow();
  Become(key, KeyAvailability::kDenied);
  key.next_probe = now + Jittered(options_.unhealthy_probe_interval);
  const std::vector<HubUid> hubs(key.hubs.begin(), key.hubs.end());
  for (HubUid uid : hubs) {
    Hub& hub = *hubs_.find(uid)->second;
    if (hub.under == &key) {
      LockByDenial(uid, hub, key, events);
      continue;
    }
    for (auto& [dek, older] : hub.older) {  // only these generations go dark
      if (older.under != &key) continue;
      older.key.reset();
      older.refusal = key.refusal;
      older.refusal_until = now + Jittered(options_.negative_lifetime);
    }
  }
}

void KeyCache::Core::LockByDenial(HubUid uid, Hub& hub, const VaultKey& key, Events& events) {
  LockReport report;
  report.hub = uid;
  report.cause = key.cause;
  report.detected_at = key.first_refusal_wall;
  report.last_success = key.last_success_wall;
  report.keys_wiped = Wipe(uid, hub);
  report.locked_at = clock_.WallNow();
  if (!std::exchange(hub.locked_by_denial, true)) events.locked.push_back(std::move(report));
}

void KeyCache::Core::Rebind(HubUid uid) {
  const absl::StatusOr<HubKeyRecords> records = source_.Load(uid);
  if (!records.ok() || !HangOn(uid, *records)) Forget(uid, false);
}

bool KeyCache::Core::HangOn(HubUid uid, const HubKeyRecords& records) {
  absl::MutexLock lock(&mutex_);
  const auto found = hubs_.find(uid);
  if (found == hubs_.end()) return true;
  Hub& hub = *found->second;
  if (hub.keys == nullptr || hub.under == nullptr) return false;
  ++hub.epoch;  // a flight that read the records before would hang it on the former version again
  for (const WrappedDekRecord& record : records.deks) {
    const bool newest = record.facts.dek_id == hub.keys->open.dek_id();
    const auto older = hub.older.find(record.facts.dek_id);
    if (!newest && older == hub.older.end()) continue;
    VaultKey*& under = newest ? hub.under : older->second.under;
    VaultKey* key = Register(records, record);
    if (key == under) continue;
    if (key->availability == KeyAvailability::kDenied) return false;  // it wipes no more by itself
    key->hubs.insert(uid);
    key->last_success = std::max(key->last_success, under->last_success);
    key->last_success_wall = std::max(key->last_success_wall, under->last_success_wall);
    if (key->availability == KeyAvailability::kUnknown) {
      Become(*key, KeyAvailability::kAvailable);
      key->sample = record;
      key->sample_proven = true;
    }
    key->next_probe =
        std::min(key->next_probe, clock_.MonotonicNow() + Jittered(options_.probe_interval));
    Leave(uid, hub, std::exchange(under, key));
  }
  return true;
}

void KeyCache::Core::Tell(const Events& events) {
  for (const LockReport& report : events.locked) listener_.OnLocked(report);
  for (HubUid hub : events.unlocked) listener_.OnUnlocked(hub);
  for (HubUid hub : events.given_back) listener_.OnGivenBack(hub);
  for (HubUid hub : events.opened) listener_.OnOpened(hub);
  for (HubUid hub : events.forgotten) listener_.OnForgotten(hub);
  for (const auto& [vault, reason] : events.unreachable) {
    listener_.OnVaultUnreachable(vault, reason);
  }
  for (const std::string& vault : events.reachable) listener_.OnVaultReachable(vault);
  for (const auto& [hub, vault, reason] : events.unusable) {
    listener_.OnWrappedDekUnusable(hub, vault, reason);
  }
  for (const auto& [hub, reason] : events.corrupt) listener_.OnHubKeysCorrupt(hub, reason);
}

}  // namespace cmkstore::keycache
