#pragma once

#include <array>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "vault/key_vault.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {

inline constexpr std::array<VaultOutcome, 7> kVaultOutcomes = {
    VaultOutcome::kHealthy,   VaultOutcome::kDenied,      VaultOutcome::kUnreachable,
    VaultOutcome::kThrottled, VaultOutcome::kLoginFailed, VaultOutcome::kUnfit,
    VaultOutcome::kCorrupt};

// Calls of one operation since start.
struct VaultCallStats {
  absl::string_view operation;
  std::array<Counter, kVaultOutcomes.size()> by_outcome{};
  Histogram latency = Histogram::OfLatencies();
};

// Counts and times every call to a vault, retries too, by operation and outcome, and those without
// the vault's word by cause; never by vault or tenant.
//
// Thread-safe. `vault` and `clock` must outlive this. Errors: those of `vault`.
class TimedKeyVault final : public KeyVault {
 public:
  TimedKeyVault(KeyVault& vault, Clock& clock) : vault_(vault), clock_(clock) {}

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

  const std::array<VaultCallStats, 3>& stats() const { return stats_; }
  const WordCounters& outages() const { return outages_; }  // by kOutageCauses

 private:
  void Count(VaultCallStats& stats, absl::Time began, const absl::Status& status);

  KeyVault& vault_;
  Clock& clock_;
  std::array<VaultCallStats, 3> stats_{VaultCallStats{"describe"}, VaultCallStats{"wrap"},
                                       VaultCallStats{"unwrap"}};
  WordCounters outages_{kOutageCauses};
};

}  // namespace cmkstore::vault
