#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "keycache/key_state.h"
#include "store/engine.h"

namespace cmkstore::service {

// Hears of every lock and outage: closes the hub's search index, logs, wakes what streams the hub,
// and keeps the last lock of each hub on disk as its revocation receipt.
//
// A lock is written behind the wiped keys, by a commit that nobody waits for; what the store
// refuses is written again until it takes it. That of LockHub is in the commit that locks the hub
// as well, and so on disk when the call returns.
//
// Thread-safe. All that it is given must outlive it, and it the key cache and the engine's last
// commit.
class LockReceipts final : public keycache::KeyStateListener {
 public:
  struct Actions {
    std::function<std::string(HubUid)> name_of;  // "tenants/T/hubs/H": whom to tell
    std::function<bool(HubUid)> close_index;     // whether it was open
    std::function<void(HubUid)> follow_again;
    std::function<void(HubUid)> look_at_index;  // its keys are at hand
    std::function<void(HubUid)> rest_index;     // they are not any more
    std::function<void(HubUid)> wake_streams;
    std::function<void(HubUid)> count_unwrap;
  };
  LockReceipts(store::Engine& engine, Clock& clock, Actions actions)
      : engine_(engine), clock_(clock), actions_(std::move(actions)) {}

  // The hub's last lock, of this process or of one before; absent if it was never locked, or if its
  // row does not parse.
  std::optional<storage::v1::LockRecord> Last(HubUid hub) const;
  // The lock of a hub whose key the vault refused when it was last asked, in whatever process; a
  // lock by push beside it takes nothing back.
  std::optional<storage::v1::LockRecord> StandingDenial(HubUid hub) const;

  // For the commit that locks the hub by push at `now`: what it writes. Settle is to follow it.
  storage::v1::LockRecord AddPushLock(HubUid hub, absl::Time now, store::WriteSet& writes) const;
  // For the commit that takes such a lock back; nothing, and no Settle, when the receipt is of
  // another. A refusal of the vault that stood beside it stands again.
  std::optional<storage::v1::LockRecord> AddPushUnlock(HubUid hub, absl::Time now,
                                                       store::WriteSet& writes) const;
  // That commit has been made. What the vault has refused meanwhile is written once more.
  void Settle(HubUid hub, storage::v1::LockRecord committed);
  // The refused key is the hub's no more.
  void End(HubUid hub);
  // Writes again what the store has refused; to be called about every 100 ms.
  void Tick();

  void OnLocked(const keycache::LockReport& report) override;
  void OnUnlocked(HubUid hub) override;
  void OnGivenBack(HubUid hub) override { End(hub); }
  void OnOpened(HubUid hub) override { actions_.look_at_index(hub); }
  void OnForgotten(HubUid hub) override { actions_.rest_index(hub); }
  void OnVaultUnreachable(const std::string& vault_uri, absl::string_view reason) override;
  void OnVaultReachable(const std::string& vault_uri) override;
  void OnWrappedDekUnusable(HubUid hub, const std::string& vault_uri,
                            absl::string_view reason) override;
  void OnHubKeysCorrupt(HubUid hub, absl::string_view reason) override;
  void OnUnwrapAsked(HubUid hub) override { actions_.count_unwrap(hub); }

 private:
  // Remembers the record and sets its write off.
  void Keep(HubUid hub, const storage::v1::LockRecord& record);
  void Write(HubUid hub, const storage::v1::LockRecord& record);

  store::Engine& engine_;
  Clock& clock_;
  const Actions actions_;
  mutable absl::Mutex mutex_;  // never held across I/O
  // Of the hubs that were locked or unlocked in this process.
  absl::flat_hash_map<HubUid, storage::v1::LockRecord> last_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<HubUid> refused_ ABSL_GUARDED_BY(mutex_);  // by the store
  absl::Time next_try_ = absl::InfinitePast();                   // the ticking thread's
};

}  // namespace cmkstore::service
