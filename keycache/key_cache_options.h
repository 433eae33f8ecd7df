#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "vault/bounded_key_vault.h"

namespace cmkstore::keycache {

// No key serves longer than this after the vault has last unwrapped by it, unless the vault is
// known not to answer.
inline constexpr absl::Duration kPromise = absl::Seconds(45);

// Settings that constrain each other: Validate refuses sets under which the 45 s promise cannot
// hold (docs/key_lifecycle.md has the sum).
struct KeyCacheOptions {
  absl::Duration entry_lifetime = absl::Minutes(5);   // from the unwrap; never extended
  absl::Duration probe_interval = absl::Seconds(30);  // of a healthy vault key, ± probe_jitter
  double probe_jitter = 0.2;
  absl::Duration unhealthy_probe_interval = absl::Seconds(10);
  absl::Duration confirm_delay =
      absl::Seconds(2);  // between a first refusal and the confirming probe
  absl::Duration negative_lifetime = absl::Seconds(10);
  absl::Duration vault_call_timeout = absl::Seconds(3);
  size_t max_hubs = 100'000;            // cached hubs; the least recently used goes first
  size_t max_older_keys_per_hub = 64;   // cached older generations of one hub
  size_t max_waiters_per_key = 20'000;  // calls waiting for one unwrap
  size_t max_calls = 64;                // to vaults under way, all vaults and purposes together
  size_t max_calls_per_vault = 20;
  size_t max_queued_calls = 20'000;

  // Errors: FIELD_INVALID naming the setting and the bound.
  absl::Status Validate() const;
};

// How the bounds on calls under way are dealt out, so that no number of calls of one kind keeps
// another waiting. The shares of a valid set of options are within it, together.
struct VaultCallShares {
  explicit VaultCallShares(const KeyCacheOptions& options);

  size_t fetches;       // cold misses
  size_t slow_fetches;  // of vaults that did not answer last time
  size_t probes;        // of their own: no number of cold misses may delay a refusal (KL-4)
  size_t slow_probes;
  size_t people;  // see BoundedKeyVault
  size_t fetches_per_vault;
  size_t probes_per_vault;
  size_t people_per_vault;
  // A vault that did not answer is asked by so many at once, be it fetches or probes.
  static constexpr size_t kSlowPerVault = 2;
};

vault::BoundedKeyVaultOptions BoundsForPeople(const KeyCacheOptions& options);

}  // namespace cmkstore::keycache
