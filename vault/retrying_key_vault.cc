#include "vault/retrying_key_vault.h"

#include <algorithm>

#include "base/errors.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(200);

}  // namespace

template <typename T>
absl::StatusOr<T> RetryingKeyVault::Retry(const KeyRef& key, absl::Time deadline,
                                          const std::function<absl::StatusOr<T>()>& call) {
  for (absl::Duration delay = kFirstDelay;; delay *= 2) {
    absl::StatusOr<T> result = call();
    const VaultOutcome outcome = OutcomeOf(result.status());
    absl::Duration wait = delay;
    if (outcome == VaultOutcome::kThrottled) {
      wait = std::max(wait, RetryAfterOf(result.status()).value_or(wait));
    } else if (outcome != VaultOutcome::kUnreachable) {
      return result;
    }
    if (clock_.WallNow() + wait >= deadline) return result;
    clock_.Sleep(wait);
    if (!may_retry_(key, result.status())) return result;
  }
}

absl::StatusOr<KeyDescription> RetryingKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  return Retry<KeyDescription>(key, deadline, [&] { return vault_.Describe(key, deadline); });
}

absl::StatusOr<WrappedKey> RetryingKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                                  absl::Time deadline) {
  return Retry<WrappedKey>(key, deadline, [&] { return vault_.Wrap(key, dek, deadline); });
}

absl::StatusOr<crypto::SecretBytes> RetryingKeyVault::Unwrap(const KeyRef& key,
                                                             const WrappedKey& wrapped,
                                                             absl::Time deadline) {
  return Retry<crypto::SecretBytes>(key, deadline,
                                    [&] { return vault_.Unwrap(key, wrapped, deadline); });
}

}  // namespace cmkstore::vault
