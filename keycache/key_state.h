#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "vault/vault_errors.h"

namespace cmkstore::keycache {

enum class KeyAvailability {
  kUnknown,      // not tried since start
  kAvailable,    // it has unwrapped, and its vault answers
  kUnreachable,  // the vault does not answer; cached keys serve within the grace period
  kDenied,       // the vault refuses; the hub is locked
  kLockedByPush,
};
absl::string_view ToString(KeyAvailability availability);

// Of an older generation that was asked for: it has a version of the vault key to itself.
struct OlderKeyStatus {
  KeyAvailability availability = KeyAvailability::kUnknown;
  std::string cause;       // of the last failure, fit for the tenant
  bool confirmed = false;  // of kDenied: a second answer said the same
};

struct HubKeyStatus {
  KeyAvailability availability = KeyAvailability::kUnknown;
  std::string cause;  // of the last failure, fit for the tenant
  absl::Time last_success =
      absl::InfinitePast();  // wall clock; last successful unwrap of this vault key
  absl::Time state_since = absl::InfinitePast();  // wall clock
  // Wall clock; while unreachable, the end of grace, or since when, if no keys are in memory.
  absl::Time refuse_after = absl::InfiniteFuture();
  bool cached = false;
  std::map<DekId, OlderKeyStatus> older;  // those of which anything is known
};

struct KeyCacheStats {
  uint64_t unwraps = 0;  // calls that reached the vault, probes included
  uint64_t unwrap_failures = 0;
  uint64_t probes = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t waits = 0;  // calls that joined another's unwrap
  uint64_t rejected_waiters = 0;
  uint64_t evictions = 0;
  uint64_t cached_hubs = 0;
  uint64_t locked_hubs = 0;
  uint64_t calls_under_way = 0;  // of cold misses and probes, that have not ended
  uint64_t calls_in_line = 0;    // of these, those that wait for their vault's budget or lane
  uint64_t vault_keys_unknown = 0;
  uint64_t vault_keys_available = 0;
  uint64_t vault_keys_unreachable = 0;
  uint64_t vault_keys_denied = 0;
  // Vault keys by the time since their last successful unwrap: below 1 min, 5 min, 1 h, and beyond.
  std::array<uint64_t, 4> success_ages{};
  // Keys in use whose vault answers, without a successful unwrap for longer than is promised: it
  // has more of them than its budget can probe.
  uint64_t vault_keys_unproven = 0;
  absl::Duration oldest_success;  // of a key that is unreachable; 0: there is none
};

// What a lock did; becomes the revocation receipt.
struct LockReport {
  HubUid hub;
  bool by_push = false;
  std::string cause;
  absl::Time detected_at;   // wall clock: the first refusal
  absl::Time last_success;  // wall clock
  absl::Time locked_at;     // wall clock: keys gone
  uint32_t keys_wiped = 0;
};

// Told of every transition, after it has happened. Called without locks, from threads of the cache,
// but of a push lock and unlock on the thread that asked for it; must not block a thread of the
// cache for long and must not call back into Lock or Unlock.
class KeyStateListener {
 public:
  virtual ~KeyStateListener() = default;
  virtual void OnLocked(const LockReport& report) = 0;
  virtual void OnUnlocked(HubUid hub) = 0;
  // The vault has given back the key of a hub that a push lock keeps dark all the same.
  virtual void OnGivenBack(HubUid hub) = 0;
  // The hub's keys are at hand, which they were not before.
  virtual void OnOpened(HubUid hub) = 0;
  // They are no more, though nobody locked the hub: they have aged, made room or are replaced. Its
  // vault key may not be probed from now on.
  virtual void OnForgotten(HubUid hub) = 0;
  // `reason`: VAULT_UNREACHABLE, VAULT_THROTTLED or VAULT_LOGIN_FAILED.
  virtual void OnVaultUnreachable(const std::string& vault_uri, absl::string_view reason) = 0;
  virtual void OnVaultReachable(const std::string& vault_uri) = 0;
  // The vault answers and a wrapped key of the hub does not unwrap or check: it is damaged, or its
  // version is gone. Nobody withdrew anything, and nothing is locked.
  virtual void OnWrappedDekUnusable(HubUid hub, const std::string& vault_uri,
                                    absl::string_view reason) = 0;
  // The same, and the hub is refused for it: nothing serves it any more.
  virtual void OnHubKeysCorrupt(HubUid hub, absl::string_view reason) = 0;
  // A data key of the hub was given to its vault to unwrap, whatever came of it; a retry of the
  // same call is not told again.
  virtual void OnUnwrapAsked(HubUid hub) = 0;
};

}  // namespace cmkstore::keycache
