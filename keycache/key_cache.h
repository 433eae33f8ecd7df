#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/ids.h"
#include "crypto/random.h"
#include "keycache/hub_keys.h"
#include "keycache/key_cache_options.h"
#include "keycache/key_state.h"
#include "keycache/wrapped_dek_source.h"
#include "vault/call_budget.h"
#include "vault/key_vault.h"

namespace cmkstore::keycache {

// Keeps unwrapped hub keys for a bounded time, so that most requests make no vault call, and
// refuses a hub from the moment its key is known to be withdrawn. The customer's kill switch works
// by this class; its rules are numbered in docs/key_lifecycle.md.
//
// Thread-safe. Lookup takes one short lock and never waits; Fetch returns at once and runs `done`
// exactly once, on the calling thread when the answer is at hand, else on a thread of the cache,
// which it must not block. No lock is held during a vault call or a callback.
//
// Errors: CUSTOMER_KEY_REVOKED, HUB_LOCKED, VAULT_UNREACHABLE, VAULT_THROTTLED, VAULT_LOGIN_FAILED,
// DEK_NOT_FOUND, DEK_RECORD_CORRUPT, HUB_NOT_FOUND, DEADLINE_EXCEEDED, QUOTA_EXCEEDED (too many
// waiters). Keys are never logged; log DekId only.
class KeyCache {
 public:
  using KeysDone = std::function<void(absl::StatusOr<HubKeysPtr>)>;
  using OpenKeyDone = std::function<void(absl::StatusOr<OpenKeyPtr>)>;

  // All that it is given by reference must outlive this.
  // Errors: FIELD_INVALID for options under which the 45 s promise cannot hold.
  static absl::StatusOr<std::unique_ptr<KeyCache>> Create(
      const KeyCacheOptions& options, WrappedDekSource& source, vault::KeyVault& vault,
      vault::CallBudget& budget, Clock& clock, crypto::Random& random, KeyStateListener& listener);
  ~KeyCache();

  // The keys if they are cached and may be used now, the refusal if the hub is known to be refused,
  // or nullptr when a Fetch is needed.
  absl::StatusOr<HubKeysPtr> Lookup(HubUid hub);
  void Fetch(HubUid hub, absl::Time deadline, KeysDone done);
  // The opening key of an older generation (or the newest).
  absl::StatusOr<OpenKeyPtr> LookupOpenKey(HubUid hub, DekId dek);
  void FetchOpenKey(HubUid hub, DekId dek, absl::Time deadline, OpenKeyDone done);

  // Push lock: wipes every key of the hub before it returns and refuses with HUB_LOCKED until
  // Unlock. The caller makes the lock durable, and calls this again with the `revision` of the
  // hub's record that says so: until then the hub is not evicted, and the lock with it. What an
  // older revision than is known says is left.
  void Lock(HubUid hub, std::optional<uint64_t> revision = std::nullopt);
  void Unlock(HubUid hub, uint64_t revision);
  // Drops what is cached of the hub (its key or its DEKs are others now, or it was deleted); the
  // next use unwraps again. `is_gone`: for good, so that also a push lock of which no record tells
  // may be evicted.
  void Forget(HubUid hub, bool is_gone = false);
  // The hub's DEKs are wrapped by another version of the same vault key, which has just unwrapped
  // them: what is cached serves on, and hangs on that version from now on (KL-5).
  void Rebind(HubUid hub);
  // The hub has a newer generation: what sealed until now only opens, and the next call fetches the
  // newest.
  void Supersede(HubUid hub);
  // From now on cached keys serve for so long while the vault does not answer; nothing is dropped.
  // `revision`: that of the hub's record which says so. An older one than is known changes nothing.
  void SetOutageGrace(HubUid hub, absl::Duration grace, uint64_t revision);

  // Starts the probes and refreshes that are due and ends waits whose deadline has passed; never
  // blocks. To be called about every 100 ms: the cache has no clock of its own.
  void Tick();

  HubKeyStatus Status(HubUid hub);
  KeyCacheStats Stats();
  // Ends the calls under way and answers whoever waits; the listener hears nothing after it
  // returns.
  void Stop();

 private:
  class Core;
  explicit KeyCache(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace cmkstore::keycache
