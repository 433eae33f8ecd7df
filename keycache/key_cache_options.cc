#include "keycache/key_cache_options.h"

#include <algorithm>

#include "base/errors.h"

namespace cmkstore::keycache {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr size_t kFewestCalls = 5;  // one for each share

size_t Share(size_t of, size_t eighths) { return std::max<size_t>(1, of * eighths / 8); }

}  // namespace

absl::Status KeyCacheOptions::Validate() const {
  if (probe_jitter < 0 || probe_jitter > 0.5) {
    return FieldInvalid("keys.probe_jitter", "must be between 0 and 0.5");
  }
  // Worst case of KL-4: a whole interval from the begin of one probe to the begin of the next,
  // which is refused, the delay and the confirming probe.
  const absl::Duration worst = probe_interval * (1 + probe_jitter) + vault_call_timeout +
                               confirm_delay + vault_call_timeout + 2 * kTick;
  if (worst > kPromise) {
    return FieldInvalid("keys.probe_interval",
                        "with jitter, confirm_delay and twice vault_call_timeout must stay within "
                        "the promised 45 s");
  }
  if (unhealthy_probe_interval > probe_interval) {
    return FieldInvalid("keys.unhealthy_probe_interval", "must not exceed keys.probe_interval");
  }
  if (entry_lifetime < 2 * vault_call_timeout) {
    return FieldInvalid("keys.entry_lifetime", "must be at least twice keys.vault_call_timeout");
  }
  if (max_hubs == 0 || max_older_keys_per_hub == 0 || max_calls < kFewestCalls ||
      max_calls_per_vault < kFewestCalls || max_waiters_per_key == 0) {
    return FieldInvalid("keys",
                        "bounds must be at least 1, max_calls and max_calls_per_vault at least 5");
  }
  return absl::OkStatus();
}

VaultCallShares::VaultCallShares(const KeyCacheOptions& options)
    : fetches(Share(options.max_calls, 3)),
      slow_fetches(Share(options.max_calls, 2)),
      probes(Share(options.max_calls, 1)),
      slow_probes(Share(options.max_calls, 1)),
      people(Share(options.max_calls, 1)),
      fetches_per_vault(options.max_calls_per_vault * 3 / 5),
      probes_per_vault(options.max_calls_per_vault / 5),
      people_per_vault(options.max_calls_per_vault / 5) {}

vault::BoundedKeyVaultOptions BoundsForPeople(const KeyCacheOptions& options) {
  const VaultCallShares shares(options);
  return {.per_vault = shares.people_per_vault,
          .overall = shares.people,
          .call_time = options.vault_call_timeout};
}

}  // namespace cmkstore::keycache
