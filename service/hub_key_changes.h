#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "cmkstore/v1/key_service.pb.h"
#include "crypto/random.h"
#include "keycache/wrapped_dek_source.h"
#include "service/hub_access.h"
#include "store/engine.h"
#include "vault/key_vault.h"

namespace cmkstore::service {

// A DEK generation as the API shows it.
v1::DekGeneration ToGeneration(const keycache::WrappedDekRecord& dek, bool seals);

// Changes of a hub's key records, one at a time for each hub, each in one commit: a crash leaves
// the old state or the new one. Blocking. Thread-safe.
//
// Errors: those of KeyVault and Engine; ETAG_MISMATCH when the records changed meanwhile;
// DEADLINE_EXCEEDED when another change of the hub took all the time.
class HubKeyChanges {
 public:
  // While it is held nobody else changes the keys of its hub, so that the key that the hub's record
  // names and the key that wraps its DEKs change together.
  class Turn {
   public:
    Turn(HubKeyChanges& changes, HubUid hub) : changes_(changes), hub_(hub) {}
    ~Turn() { changes_.EndTurn(hub_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    HubKeyChanges& changes_;
    const HubUid hub_;
  };

  HubKeyChanges(HubAccess& hubs, keycache::WrappedDekSource& source, store::Engine& engine,
                vault::KeyVault& vault, crypto::Random& random, Clock& clock)
      : hubs_(hubs),
        source_(source),
        engine_(engine),
        vault_(vault),
        random_(random),
        clock_(clock) {}

  // The generation that would come next.
  absl::StatusOr<uint32_t> NextGeneration(HubUid hub);
  // Mints generation `generation` and seals the hub's secrets under it: new writes use it, older
  // documents stay readable. Does nothing when it is there already.
  absl::StatusOr<v1::DekGeneration> Rotate(const HubEntry& hub, uint32_t generation,
                                           absl::Time deadline);
  absl::StatusOr<std::unique_ptr<Turn>> TakeTurn(HubUid hub, absl::Time deadline);
  // Wraps every generation by `key` instead. No document is touched. A key that the hub's record
  // does not name is kept beside the DEKs in the same commit: EndKeyChange is to follow, once it
  // does. Refused while the key that wraps them now is withdrawn.
  absl::Status Rewrap(const Turn& turn, const HubEntry& hub, const vault::KeyRef& key,
                      absl::Time deadline);
  // Wraps by `latest`, the newest version of the hub's own key, what older ones wrap: the newest
  // generation first, in commits of a few, so that what is done stays done. The cached keys serve
  // on. An older generation that does not unwrap any more is passed over, and told in the end.
  // DEADLINE_EXCEEDED: some are done and others are left; CANCELLED: `stopping`.
  absl::Status Follow(const Turn& turn, const HubEntry& hub, const std::string& latest,
                      absl::Time deadline, const std::atomic<bool>& stopping);
  // Fetches the keys that a change has brought at once, while the vault answers: the next call may
  // come in an outage. If it cannot, that call fetches them.
  void BringKeys(HubUid hub, absl::Time deadline);

 private:
  void EndTurn(HubUid hub);

  HubAccess& hubs_;
  keycache::WrappedDekSource& source_;
  store::Engine& engine_;
  vault::KeyVault& vault_;
  crypto::Random& random_;
  Clock& clock_;
  absl::Mutex mutex_;
  std::set<HubUid> in_change_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::service
