#include "keycache/key_cache_options.h"

#include "base/errors.h"

namespace cmkstore::keycache {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);

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
  if (max_hubs == 0 || max_older_keys_per_hub == 0 || max_calls < 4 || max_calls_per_vault == 0 ||
      max_waiters_per_key == 0) {
    return FieldInvalid("keys", "bounds must be at least 1, max_calls at least 4");
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::keycache
