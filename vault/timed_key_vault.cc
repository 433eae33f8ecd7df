#include "vault/timed_key_vault.h"

#include <algorithm>

#include "base/errors.h"

namespace cmkstore::vault {

void TimedKeyVault::Count(VaultCallStats& stats, absl::Time began, const absl::Status& status) {
  stats.latency.Observe(clock_.MonotonicNow() - began);
  const VaultOutcome outcome = OutcomeOf(status);
  const auto found = std::find(kVaultOutcomes.begin(), kVaultOutcomes.end(), outcome);
  stats.by_outcome[static_cast<size_t>(found - kVaultOutcomes.begin())].Add();
  if (outcome == VaultOutcome::kUnreachable || outcome == VaultOutcome::kThrottled ||
      outcome == VaultOutcome::kLoginFailed) {
    outages_.Add(CauseOf(status));
  }
}

absl::StatusOr<KeyDescription> TimedKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  const absl::Time began = clock_.MonotonicNow();
  auto description = vault_.Describe(key, deadline);
  Count(stats_[0], began, description.status());
  return description;
}

absl::StatusOr<WrappedKey> TimedKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                               absl::Time deadline) {
  const absl::Time began = clock_.MonotonicNow();
  auto wrapped = vault_.Wrap(key, dek, deadline);
  Count(stats_[1], began, wrapped.status());
  return wrapped;
}

absl::StatusOr<crypto::SecretBytes> TimedKeyVault::Unwrap(const KeyRef& key,
                                                          const WrappedKey& wrapped,
                                                          absl::Time deadline) {
  const absl::Time began = clock_.MonotonicNow();
  auto dek = vault_.Unwrap(key, wrapped, deadline);
  Count(stats_[2], began, dek.status());
  return dek;
}

}  // namespace cmkstore::vault
