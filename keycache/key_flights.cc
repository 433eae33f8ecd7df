// Cold misses and refreshes of KeyCache: flights that bring one hub's keys from its vault.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/request_scope.h"
#include "keycache/key_cache_core.h"
#include "vault/platform_key_vault.h"
#include "vault/vault_errors.h"

namespace cmkstore::keycache {
namespace {

// A lock and unlock, or a change of the hub's records, while its keys were on their way: ask again.
constexpr int kAttempts = 3;

}  // namespace

void KeyCache::Core::Fetch(HubUid hub, absl::Time deadline, KeysDone done) {
  FetchAttempt(hub, deadline, kAttempts, std::move(done));
}

void KeyCache::Core::FetchAttempt(HubUid hub, absl::Time deadline, int attempts, KeysDone done) {
  absl::StatusOr<HubKeysPtr> cached = Lookup(hub);
  if (!cached.ok() || *cached != nullptr) return done(std::move(cached));
  if (attempts == 0) return done(StoreBusy());
  Join(hub, DekId(), deadline,
       [this, hub, deadline, attempts, done = std::move(done)](const absl::Status& status) {
         if (!status.ok()) return done(status);
         FetchAttempt(hub, deadline, attempts - 1, done);
       });
}

void KeyCache::Core::FetchOpenKey(HubUid hub, DekId dek, absl::Time deadline, OpenKeyDone done) {
  FetchOpenKeyAttempt(hub, dek, deadline, kAttempts, std::move(done));
}

void KeyCache::Core::FetchOpenKeyAttempt(HubUid hub, DekId dek, absl::Time deadline, int attempts,
                                         OpenKeyDone done) {
  // The newest keys first: they say whether the hub is served at all.
  Fetch(hub, deadline, [=, this, done = std::move(done)](const absl::StatusOr<HubKeysPtr>& keys) {
    if (!keys.ok()) return done(keys.status());
    absl::StatusOr<OpenKeyPtr> cached = LookupOpenKey(hub, dek);
    if (!cached.ok() || *cached != nullptr) return done(std::move(cached));
    if (attempts == 0) return done(StoreBusy());
    Join(hub, dek, deadline, [=, this](const absl::Status& status) {
      if (!status.ok()) return done(status);
      FetchOpenKeyAttempt(hub, dek, deadline, attempts - 1, done);
    });
  });
}

void KeyCache::Core::Join(HubUid uid, DekId dek, absl::Time deadline,
                          std::function<void(const absl::Status&)> done) {
  // Not left to the next Tick: whoever asks for many keys within one deadline would wait for it
  // with each.
  if (deadline <= clock_.WallNow()) return done(DeadlineExceeded("the hub's key"));
  bool first = false;
  absl::Status refused;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    if (dek.IsZero() && hub.under != nullptr) {
      refused = budget_.CheckPause(hub.under->ref.vault_uri, deadline);
    }
    const auto flying = hub.flights.find(dek);
    if (refused.ok() && flying != hub.flights.end() &&
        flying->second.size() >= options_.max_waiters_per_key) {
      ++stats_.rejected_waiters;
      refused = QuotaExceeded("too many calls wait for this hub's key", absl::Seconds(1));
    }
    if (refused.ok()) {
      std::vector<Waiter>& waiters = hub.flights[dek];
      first = waiters.empty();
      if (!first) ++stats_.waits;
      waiters.push_back({deadline, std::move(done)});
      in_flight_.insert(uid);
    }
  }
  if (!refused.ok()) return done(refused);
  if (first) BeginFlight(uid, dek, deadline);
}

// Reads the hub's records on the caller's thread (local disk), so that no thread that calls vaults
// is taken before it is known which vault that is.
void KeyCache::Core::BeginFlight(HubUid uid, DekId dek, absl::Time deadline) {
  auto flight = std::make_shared<Flight>();
  flight->hub = uid;
  flight->dek = dek;
  flight->request_id = RequestScope::Current();
  {
    absl::MutexLock lock(&mutex_);
    flight->epoch = HubFor(uid).epoch;
  }
  absl::StatusOr<HubKeyRecords> loaded = source_.Load(uid);
  if (!loaded.ok()) return Land(uid, dek, loaded.status());
  flight->records = *std::move(loaded);
  const HubKeyRecords& records = flight->records;
  const auto record = std::find_if(
      records.deks.rbegin(), records.deks.rend(),
      [&](const WrappedDekRecord& one) { return dek.IsZero() || one.facts.dek_id == dek; });
  absl::Status refused;
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = HubFor(uid);
    // The lock was told of before a restart; its end, by the first success, is still to be.
    if (hub.under == nullptr && records.locked_by_denial) hub.locked_by_denial = true;
    if (records.locked_by_push) {
      // Remembered from before a restart (KL-6), unless it has been unlocked since it was read.
      if (hub.epoch == flight->epoch && NotePush(hub, records.revision)) hub.locked_by_push = true;
      refused = hub.locked_by_push ? HubLocked() : absl::OkStatus();
    } else if (record == records.deks.rend()) {
      refused = DekNotFound();
    } else if (hub.under == nullptr) {  // else Join has asked
      refused = budget_.CheckPause(records.key.vault_uri, deadline);
    }
    if (refused.ok() && !records.locked_by_push) {
      flight->record = *record;
      flight->key = Register(records, *record);
      flight->key->hubs.insert(uid);
      ++flight->key->calls;
      // Not by records that a change has overtaken: what is cached hangs on the newer ones.
      if (dek.IsZero() && (hub.keys == nullptr || hub.epoch == flight->epoch)) {
        Leave(uid, hub, std::exchange(hub.under, flight->key));
        NoteGrace(hub, records.outage_grace, records.revision);
      }
    }
  }
  if (flight->key == nullptr) return Land(uid, dek, refused);
  double rate = CallsPerSecond(records.key, *record);
  if (records.locked_by_denial) rate /= 2;  // with the look at the latest version
  if (fetches_.Run(records.key.vault_uri, rate, [this, flight] { return Fly(*flight); })) return;
  {
    absl::MutexLock lock(&mutex_);
    --flight->key->calls;
    Leave(uid, HubFor(uid), flight->key);
  }
  Land(uid, dek, StoreBusy());
}

KeyCache::Core::VaultKey* KeyCache::Core::Register(const HubKeyRecords& records,
                                                   const WrappedDekRecord& record) {
  // Apart: what is withdrawn from those who follow the latest version is not from those who pin
  // one.
  const bool follows = records.key.version.empty();
  std::string name = absl::StrCat(record.wrapped.version_id, follows ? " followed" : "", " as ",
                                  records.key.identity, " of ", records.key.directory);
  std::unique_ptr<VaultKey>& key = vault_keys_[name];
  if (key == nullptr) {
    key = std::make_unique<VaultKey>();
    key->name = std::move(name);
    key->ref = records.key;
  }
  if (!key->sample.has_value()) key->sample = record;
  return key.get();
}

bool KeyCache::Core::Fly(Flight flight) {
  const RequestScope scope(flight.request_id);
  Answer answer;
  {
    absl::MutexLock lock(&mutex_);
    answer.denials = flight.denials = flight.key->denials;
  }
  answer.hub = flight.hub;
  answer.record = &flight.record;
  answer.began = clock_.MonotonicNow();
  const absl::Time deadline = clock_.WallNow() + options_.vault_call_timeout;
  absl::StatusOr<HubKeysPtr> keys = HubKeysPtr();
  absl::StatusOr<OpenKeyPtr> older = OpenKeyPtr();
  if (flight.dek.IsZero()) {
    // The lifetime counts from before the call: the vault may have decided at any moment of it
    // (KL-1).
    keys = opener_.OpenNewest(flight.hub, flight.records, deadline, answer.began, answer.status);
  } else {
    older = opener_.OpenGeneration(flight.records, flight.dek, deadline, answer.status);
  }
  absl::Status status;
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    ++stats_.unwraps;
    if (!answer.status.ok()) ++stats_.unwrap_failures;
    Record(*flight.key, answer, events);
    status = flight.dek.IsZero() ? LandNewest(flight, answer.began, keys, events)
                                 : LandOlder(flight, answer.began, older);
    Hub& hub = HubFor(flight.hub);
    if (flight.key->availability == KeyAvailability::kDenied && hub.under == flight.key) {
      LockByDenial(flight.hub, hub, *flight.key, events);
    } else if (hub.under == flight.key && hub.keys != nullptr &&
               std::exchange(hub.locked_by_denial, false) && !hub.locked_by_push) {
      events.unlocked.push_back(flight.hub);  // locked under a key that is its own no more
    }
    --flight.key->calls;
    Leave(flight.hub, hub, flight.key);
    EvictBeyondBound(events);
  }
  Tell(events);
  listener_.OnUnwrapAsked(flight.hub);
  Land(flight.hub, flight.dek, status);
  return NoteAnswer(flight.records.key.vault_uri, answer.status);
}

// The local key of the service itself is under nobody's limit.
double KeyCache::Core::CallsPerSecond(const vault::KeyRef& key, const WrappedDekRecord& record) {
  if (key.vault_uri == vault::kPlatformVaultUri) return 1e9;
  return vault::CallsPerSecond(record.wrapped.algorithm, record.wrapped.ciphertext.size());
}

bool KeyCache::Core::MayRetry(const vault::KeyRef& key) {
  return !budget_.failing(key.vault_uri) &&
         budget_.TryTake(key.vault_uri, vault::CallsPerSecond("", 0));
}

bool KeyCache::Core::NoteAnswer(const std::string& vault_uri, const absl::Status& answer) {
  switch (vault::OutcomeOf(answer)) {
    case vault::VaultOutcome::kThrottled: {
      const absl::Duration asked = RetryAfterOf(answer).value_or(absl::ZeroDuration());
      uint8_t spread = 0;
      random_.Fill({&spread, 1});
      budget_.Throttled(vault_uri, asked, spread / 256.0);
      return true;
    }
    case vault::VaultOutcome::kUnreachable: budget_.Unreachable(vault_uri); return false;
    case vault::VaultOutcome::kLoginFailed: return false;  // says nothing of the vault
    default: budget_.Answered(vault_uri); return true;
  }
}

// Returns what the waiters are told; OK means that they look again, and ask again when there is
// nothing.
absl::Status KeyCache::Core::LandNewest(const Flight& flight, absl::Time began,
                                        const absl::StatusOr<HubKeysPtr>& keys, Events& events) {
  Hub& hub = HubFor(flight.hub);
  if (keys.ok()) {
    const bool overtaken = hub.epoch != flight.epoch || hub.locked_by_push ||
                           hub.under != flight.key || flight.key->denials != flight.denials;
    if (overtaken) return absl::OkStatus();
    if (hub.keys == nullptr) events.opened.push_back(flight.hub);
    hub.keys = *keys;
    hub.used = false;
    hub.refusal_until = absl::InfinitePast();
    flight.key->sample = flight.records.deks.back();
    flight.key->sample_proven = true;
    agenda_.emplace(began + options_.entry_lifetime * kRefreshAt, flight.hub);
    agenda_.emplace(began + options_.entry_lifetime, flight.hub);
    return absl::OkStatus();
  }
  const bool cached = hub.keys != nullptr && !Expired(hub.keys->unwrapped_at, hub.under);
  if (vault::OutcomeOf(keys.status()) == vault::VaultOutcome::kDenied) {
    // What is cached goes on serving until the refusal is confirmed; a hub that is not is refused
    // at once.
    if (!cached) {
      hub.refusal = keys.status();
      hub.refusal_until = clock_.MonotonicNow() + Jittered(options_.negative_lifetime);
    }
  } else if (cached && CheckServed(hub, hub.under).ok()) {
    return absl::OkStatus();  // an outage within the grace period (KL-5)
  } else if (vault::OutcomeOf(keys.status()) == vault::VaultOutcome::kCorrupt) {
    events.corrupt.emplace_back(flight.hub, ReasonOf(keys.status()));
  }
  return keys.status();
}

absl::Status KeyCache::Core::LandOlder(const Flight& flight, absl::Time began,
                                       const absl::StatusOr<OpenKeyPtr>& key) {
  Hub& hub = HubFor(flight.hub);
  const bool denied = vault::OutcomeOf(key.status()) == vault::VaultOutcome::kDenied;
  if (!key.ok() && !denied) return key.status();
  const bool overtaken = hub.epoch != flight.epoch || hub.locked_by_push ||
                         (key.ok() && flight.key->denials != flight.denials);
  if (overtaken) return absl::OkStatus();
  Older older{.key = nullptr, .under = flight.key, .unwrapped_at = began, .refusal = key.status()};
  if (key.ok()) older.key = *key;
  if (denied) older.refusal_until = clock_.MonotonicNow() + Jittered(options_.negative_lifetime);
  KeepOlder(flight.hub, flight.dek, std::move(older));
  // Another flight that failed may have taken the hub off the key that both were under.
  flight.key->hubs.insert(flight.hub);
  return key.status();
}

void KeyCache::Core::Land(HubUid uid, DekId dek, const absl::Status& status) {
  std::vector<Waiter> waiters;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = hubs_.find(uid);
    if (found == hubs_.end()) return;
    Hub& hub = *found->second;
    waiters = std::move(hub.flights[dek]);
    hub.flights.erase(dek);
    if (hub.flights.empty()) in_flight_.erase(uid);
    // A hub that does not exist leaves nothing behind.
    if (hub.flights.empty() && hub.under == nullptr && !hub.locked_by_push) Erase(uid);
  }
  for (const Waiter& waiter : waiters) waiter.done(status);
}

void KeyCache::Core::Tick() {
  const absl::Time wall = clock_.WallNow();
  std::vector<HubUid> to_refresh;
  std::vector<Waiter> late;
  Events events;
  {
    absl::MutexLock lock(&mutex_);
    KeepAgenda(to_refresh, events);
    EndLateWaits(wall, late);
  }
  Tell(events);
  for (const Waiter& waiter : late) waiter.done(DeadlineExceeded("the hub's key"));
  StartDueProbes();
  fetches_.Tick();
  probes_.Tick();
  for (HubUid uid : to_refresh) {
    Join(uid, DekId(), absl::InfiniteFuture(), [](const absl::Status&) {});
  }
}

void KeyCache::Core::EndLateWaits(absl::Time wall, std::vector<Waiter>& late) {
  for (HubUid uid : in_flight_) {
    for (auto& [dek, waiters] : hubs_.find(uid)->second->flights) {
      for (Waiter& waiter : waiters) {
        if (waiter.deadline > wall) continue;
        late.push_back(std::move(waiter));
        // Stays in line, answered: the flight's first waiter marks that it is under way.
        waiter = {absl::InfiniteFuture(), [](const absl::Status&) {}};
      }
    }
  }
}

void KeyCache::Core::KeepAgenda(std::vector<HubUid>& to_refresh, Events& events) {
  const absl::Time now = clock_.MonotonicNow();
  while (!agenda_.empty() && agenda_.begin()->first <= now) {
    const HubUid uid = agenda_.begin()->second;
    agenda_.erase(agenda_.begin());
    const auto found = hubs_.find(uid);
    if (found == hubs_.end()) continue;
    Hub& hub = *found->second;
    if (hub.flights.contains(DekId())) {  // its landing decides
      agenda_.emplace(now + options_.unhealthy_probe_interval, uid);
    } else if (ReviewAges(uid, hub, events)) {
      to_refresh.push_back(uid);
    }
  }
}

// Wipes what has passed its lifetime; true when the newest keys are to be refreshed ahead of it.
bool KeyCache::Core::ReviewAges(HubUid uid, Hub& hub, Events& events) {
  const absl::Time now = clock_.MonotonicNow();
  const auto past = [&](absl::Time unwrapped_at) {
    return now >= unwrapped_at + options_.entry_lifetime;
  };
  if (hub.keys != nullptr && Expired(hub.keys->unwrapped_at, hub.under)) {
    Wipe(uid, hub);  // not used since it could have been refreshed
    events.forgotten.push_back(uid);
    return false;
  }
  bool kept_by_outage = hub.keys != nullptr && past(hub.keys->unwrapped_at);
  for (auto older = hub.older.begin(); older != hub.older.end();) {
    if (Expired(older->second.unwrapped_at, older->second.under)) {
      VaultKey* under = older->second.under;
      older = hub.older.erase(older);
      Leave(uid, hub, under);
    } else {
      kept_by_outage = kept_by_outage || past(older->second.unwrapped_at);
      ++older;
    }
  }
  if (kept_by_outage) agenda_.emplace(now + options_.unhealthy_probe_interval, uid);
  return hub.keys != nullptr && hub.used && hub.under != nullptr &&
         hub.under->availability == KeyAvailability::kAvailable &&
         now >= hub.keys->unwrapped_at + options_.entry_lifetime * kRefreshAt;
}

void KeyCache::Core::Stop() {
  fetches_.Stop();
  probes_.Stop();
  std::vector<std::pair<HubUid, DekId>> left;
  {
    absl::MutexLock lock(&mutex_);
    for (HubUid uid : in_flight_) {
      for (const auto& [dek, waiters] : hubs_.find(uid)->second->flights)
        left.emplace_back(uid, dek);
    }
  }
  for (const auto& [uid, dek] : left) Land(uid, dek, StoreBusy());
}

}  // namespace cmkstore::keycache
