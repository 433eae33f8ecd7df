#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "base/worker.h"
#include "keycache/hub_opener.h"
#include "keycache/key_cache.h"

namespace cmkstore::keycache {

// The state behind KeyCache. One mutex guards it all; it is never held across a vault call, a load or a callback.
class KeyCache::Core {
 public:
  Core(const KeyCacheOptions& options, WrappedDekSource& source, vault::KeyVault& vault,
       Clock& clock, crypto::Random& random, KeyStateListener& listener);

  absl::StatusOr<HubKeysPtr> Lookup(HubUid hub);
  absl::StatusOr<OpenKeyPtr> LookupOpenKey(HubUid hub, DekId dek);
  void Fetch(HubUid hub, absl::Time deadline, KeysDone done);
  void FetchOpenKey(HubUid hub, DekId dek, absl::Time deadline, OpenKeyDone done);
  void Lock(HubUid hub);
  void Unlock(HubUid hub);
  void Forget(HubUid hub);
  void Tick();
  HubKeyStatus Status(HubUid hub);
  KeyCacheStats Stats();
  void Stop() { worker_.Stop(); }

 private:
  struct Waiter {
    absl::Time deadline;
    std::function<void(const absl::Status&)> done;  // OK: look the key up again
  };

  struct Hub {
    HubKeysPtr keys;
    absl::flat_hash_map<DekId, OpenKeyPtr> older;
    std::string vault_key;           // of vault_keys_; empty until first loaded
    absl::Duration outage_grace = absl::ZeroDuration();
    bool locked_by_push = false;
    bool used = false;               // since its keys were unwrapped: worth a refresh
    uint64_t epoch = 0;              // grows with every wipe: a fetch begun before one inserts nothing
    absl::Status refusal;            // negative cache
    absl::Time refusal_until = absl::InfinitePast();
    std::map<DekId, std::vector<Waiter>> flights;  // zero id: the newest keys
    std::list<HubUid>::iterator recency;
  };

  // One key of one vault, as one identity sees it: what a sentinel probes.
  struct VaultKey {
    vault::KeyRef ref;
    WrappedDekRecord sample;
    KeyAvailability availability = KeyAvailability::kUnknown;
    std::string cause;
    absl::Status refusal;  // the vault's last denial, as a hub's caller is told it
    absl::Time last_success = absl::InfinitePast();       // monotonic
    absl::Time last_success_wall = absl::InfinitePast();
    absl::Time since_wall = absl::InfinitePast();
    absl::Time next_probe = absl::InfiniteFuture();       // monotonic
    absl::Time first_refusal_wall = absl::InfiniteFuture();
    bool suspected = false;  // refused once; the next probe confirms
    bool probing = false;
    absl::flat_hash_set<HubUid> hubs;
  };

  // What to tell the listener once the mutex is free.
  struct Events {
    std::vector<LockReport> locked;
    std::vector<HubUid> unlocked;
    std::vector<std::pair<std::string, std::string>> unreachable;  // vault, cause
    std::vector<std::string> reachable;
  };

  absl::StatusOr<HubKeysPtr> LookupLocked(HubUid hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckServed(const Hub& hub) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Hub& HubFor(HubUid hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EvictBeyondBound() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint32_t Wipe(Hub& hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Joins or begins the flight of one key. `done` runs when it lands, or when its deadline has passed.
  void Join(HubUid hub, DekId dek, absl::Time deadline,
            std::function<void(const absl::Status&)> done);
  void RunFlight(HubUid hub, DekId dek, uint64_t epoch);
  void Land(HubUid hub, DekId dek, const absl::Status& status);
  void RefreshAhead(std::vector<std::pair<HubUid, uint64_t>>& due)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Probe(const std::string& vault_key);
  void Record(VaultKey& key, const absl::Status& status, bool probe, Events& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LockHubsOf(VaultKey& key, Events& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(const Events& events);
  absl::Duration Jittered(absl::Duration duration);

  const KeyCacheOptions options_;
  WrappedDekSource& source_;
  HubOpener opener_;
  Clock& clock_;
  crypto::Random& random_;
  KeyStateListener& listener_;

  absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, std::unique_ptr<Hub>> hubs_ ABSL_GUARDED_BY(mutex_);
  std::list<HubUid> recency_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<std::string, std::unique_ptr<VaultKey>> vault_keys_ ABSL_GUARDED_BY(mutex_);
  KeyCacheStats stats_ ABSL_GUARDED_BY(mutex_);
  Worker worker_;  // last: its threads use all of the above
};

}  // namespace cmkstore::keycache
