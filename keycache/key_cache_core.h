#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "keycache/hub_opener.h"
#include "keycache/key_cache.h"
#include "keycache/vault_lanes.h"
#include "vault/call_budget.h"
#include "vault/retrying_key_vault.h"

namespace cmkstore::keycache {

// The state behind KeyCache. One mutex guards it all; it is never held across a vault call, a load
// or a callback. key_cache.cc looks up, key_flights.cc fetches, key_sentinel.cc judges the vaults'
// answers.
class KeyCache::Core {
 public:
  Core(const KeyCacheOptions& options, WrappedDekSource& source, vault::KeyVault& vault,
       vault::CallBudget& budget, Clock& clock, crypto::Random& random, KeyStateListener& listener);

  absl::StatusOr<HubKeysPtr> Lookup(HubUid hub);
  absl::StatusOr<OpenKeyPtr> LookupOpenKey(HubUid hub, DekId dek);
  void Fetch(HubUid hub, absl::Time deadline, KeysDone done);
  void FetchOpenKey(HubUid hub, DekId dek, absl::Time deadline, OpenKeyDone done);
  void Lock(HubUid hub, std::optional<uint64_t> revision);
  void Unlock(HubUid hub, uint64_t revision);
  void Forget(HubUid hub, bool is_gone);
  void Rebind(HubUid hub);
  void Supersede(HubUid hub);
  void SetOutageGrace(HubUid hub, absl::Duration grace, uint64_t revision);
  void Tick();
  HubKeyStatus Status(HubUid hub);
  KeyCacheStats Stats();
  void Stop();

 private:
  // Refresh when this part of the lifetime has passed, so that a hub in use never waits for its
  // vault.
  static constexpr double kRefreshAt = 0.7;

  struct VaultKey;

  struct Waiter {
    absl::Time deadline;
    std::function<void(const absl::Status&)> done;  // OK: look the key up again
  };

  // An older generation: its key, or why the vault refused it.
  struct Older {
    OpenKeyPtr key;
    VaultKey* under = nullptr;
    absl::Time unwrapped_at;  // monotonic; begin of the call
    absl::Status refusal;     // when `key` is null
    absl::Time refusal_until = absl::InfinitePast();
  };

  struct Hub {
    HubKeysPtr keys;
    std::map<DekId, Older> older;
    VaultKey* under = nullptr;  // what the newest generation is wrapped by; null until first loaded
    absl::Duration outage_grace = absl::ZeroDuration();
    uint64_t grace_revision = 0;  // of the hub's record that says so
    bool locked_by_push = false;
    uint64_t push_revision = 0;   // of the hub's record that says so, or that it is not
    bool lock_only_here = false;  // no record has the push lock: an eviction would end it
    absl::Time push_changed_wall = absl::InfinitePast();  // last push lock or unlock
    bool locked_by_denial = false;                        // and reported so
    bool used = false;     // since its keys were unwrapped: worth a refresh
    uint64_t epoch = 0;    // grows with every wipe: a fetch begun before one inserts nothing
    absl::Status refusal;  // negative cache
    absl::Time refusal_until = absl::InfinitePast();
    std::map<DekId, std::vector<Waiter>> flights;  // zero id: the newest keys
    std::list<HubUid>::iterator recency;
  };

  // One version of one key of one vault, as one identity sees it, for those who pin it or for those
  // who follow the latest: what a sentinel probes.
  struct VaultKey {
    std::string name;
    vault::KeyRef ref;
    std::optional<WrappedDekRecord> sample;  // what a probe unwraps
    bool sample_proven = false;              // it has been unwrapped: a failure is not its own
    KeyAvailability availability = KeyAvailability::kUnknown;
    std::string cause;
    absl::Status refusal;  // the vault's last denial, as a hub's caller is told it
    absl::Status outage;  // why it is unreachable: the vault's silence, its limit, or our own login
    uint64_t denials = 0;  // a success of a call begun before the last of them is stale
    absl::Time last_success = absl::InfinitePast();  // monotonic; begin of the call
    absl::Time last_success_wall = absl::InfinitePast();
    absl::Time since_wall = absl::InfinitePast();
    absl::Time next_probe = absl::InfiniteFuture();  // monotonic
    absl::Time first_refusal_wall = absl::InfiniteFuture();
    bool suspected = false;  // refused once; the next probe confirms
    bool probing = false;
    size_t calls = 0;  // flights that hold a pointer to this
    absl::flat_hash_set<HubUid> hubs;
  };

  struct Flight {
    HubUid hub;
    DekId dek;  // zero: the newest keys
    uint64_t epoch = 0;
    VaultKey* key = nullptr;
    uint64_t denials = 0;
    HubKeyRecords records;
    WrappedDekRecord record;  // of `records`, the one that it unwraps
    std::string request_id;   // of the request that began it
  };

  // A vault's answer to one call.
  struct Answer {
    absl::Status status;
    bool probe = false;
    HubUid hub;                                // whose wrapped key it was asked for
    const WrappedDekRecord* record = nullptr;  // that wrapped key
    uint64_t denials = 0;                      // of the key, when the call began
    absl::Time began;                          // monotonic
  };

  // The probes of one vault that are under way or in line, and what its failing keys were told (OK:
  // nothing yet).
  struct VaultProbes {
    size_t in_line = 0;
    absl::Status outage;
  };

  // What to tell the listener once the mutex is free.
  struct Events {
    std::vector<LockReport> locked;
    std::vector<HubUid> unlocked;
    std::vector<HubUid> given_back;  // by the vault; locked by push all the same
    std::vector<HubUid> opened;
    std::vector<HubUid> forgotten;
    std::vector<std::pair<std::string, std::string>> unreachable;  // vault, reason
    std::vector<std::string> reachable;
    std::vector<std::tuple<HubUid, std::string, std::string>> unusable;  // hub, vault, reason
    std::vector<std::pair<HubUid, std::string>> corrupt;                 // hub, reason
  };

  // key_cache.cc
  absl::StatusOr<HubKeysPtr> LookupLocked(HubUid hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckServed(const Hub& hub, const VaultKey* key) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why the vault is known not to answer; OK: it is not.
  absl::Status Silence(const VaultKey& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Expired(absl::Time unwrapped_at, const VaultKey* key) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes room for it first, within the bound.
  void KeepOlder(HubUid hub, DekId dek, Older older) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Hub& HubFor(HubUid hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void NoteGrace(Hub& hub, absl::Duration grace, uint64_t revision);
  // Of a lock and an unlock that were written in one order and are told of in the other, the later
  // record counts: false for an older one.
  static bool NotePush(Hub& hub, uint64_t revision) {
    hub.push_revision = std::max(hub.push_revision, revision);
    return hub.push_revision == revision;
  }
  void Leave(HubUid uid, const Hub& hub, VaultKey* key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropIfUnused(VaultKey* key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(HubUid hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EvictBeyondBound(Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint32_t Wipe(HubUid uid, Hub& hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // key_flights.cc. Joins or begins the flight of one key; `done` runs when it lands, or when its
  // deadline has passed.
  void FetchAttempt(HubUid hub, absl::Time deadline, int attempts, KeysDone done);
  void FetchOpenKeyAttempt(HubUid hub, DekId dek, absl::Time deadline, int attempts,
                           OpenKeyDone done);
  void Join(HubUid hub, DekId dek, absl::Time deadline,
            std::function<void(const absl::Status&)> done);
  void BeginFlight(HubUid hub, DekId dek, absl::Time deadline);
  bool Fly(Flight flight);
  absl::Status LandNewest(const Flight& flight, absl::Time began,
                          const absl::StatusOr<HubKeysPtr>& keys, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LandOlder(const Flight& flight, absl::Time began,
                         const absl::StatusOr<OpenKeyPtr>& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  VaultKey* Register(const HubKeyRecords& records, const WrappedDekRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Land(HubUid hub, DekId dek, const absl::Status& status);
  void EndLateWaits(absl::Time wall, std::vector<Waiter>& late)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KeepAgenda(std::vector<HubUid>& to_refresh, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ReviewAges(HubUid uid, Hub& hub, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // key_sentinel.cc
  // False: what is cached of the hub is to be forgotten.
  bool HangOn(HubUid hub, const HubKeyRecords& records);
  bool Probe(const std::string& vault_key);
  void StartDueProbes();
  bool BelievesNeighbours(VaultKey& key, const VaultProbes& neighbours, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Record(VaultKey& key, const Answer& answer, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordHealthy(VaultKey& key, const Answer& answer, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordDenied(VaultKey& key, const Answer& answer, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordOutage(VaultKey& key, const Answer& answer, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordUnusable(VaultKey& key, const Answer& answer, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Confirm(VaultKey& key, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LockByDenial(HubUid uid, Hub& hub, const VaultKey& key, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Become(VaultKey& key, KeyAvailability availability) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NeedsProbes(const VaultKey& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(const Events& events);
  absl::Duration Jittered(absl::Duration duration);
  static double CallsPerSecond(const vault::KeyRef& key, const WrappedDekRecord& record);
  bool MayRetry(const vault::KeyRef& key);
  // Tells the budget; true when the vault answered.
  bool NoteAnswer(const std::string& vault_uri, const absl::Status& answer);

  const KeyCacheOptions options_;
  const VaultCallShares shares_;
  WrappedDekSource& source_;
  Clock& clock_;
  vault::CallBudget& budget_;
  // A cold miss is tried again where there is time; a probe's next try is the next probe.
  vault::RetryingKeyVault retrying_;
  HubOpener opener_, sentinel_;
  crypto::Random& random_;
  KeyStateListener& listener_;

  absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, std::unique_ptr<Hub>> hubs_ ABSL_GUARDED_BY(mutex_);
  std::list<HubUid> recency_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<std::string, std::unique_ptr<VaultKey>> vault_keys_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<HubUid> in_flight_ ABSL_GUARDED_BY(mutex_);
  // When which hub's keys are to be looked at again (monotonic), so that a tick visits only those.
  std::multimap<absl::Time, HubUid> agenda_ ABSL_GUARDED_BY(mutex_);
  KeyCacheStats stats_ ABSL_GUARDED_BY(mutex_);
  VaultLanes fetches_, probes_;  // last: their threads use all of the above
};

}  // namespace cmkstore::keycache
