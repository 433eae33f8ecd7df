#include "vault/bounded_key_vault.h"

#include <algorithm>

#include "base/errors.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr absl::Duration kRetryAfter = absl::Seconds(1);
// A key whose size is not known yet is taken for one of the usual size.
constexpr size_t kUsualBytes = 384;
constexpr char kUsualAlgorithm[] = "RSA-OAEP-256";

}  // namespace

bool BoundedKeyVault::Enter(const std::string& vault, absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto free = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = under_way_.find(vault);
    return total_ < options_.overall &&
           (found == under_way_.end() || found->second < options_.per_vault);
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&free), deadline - clock_.WallNow())) return false;
  ++under_way_[vault];
  ++total_;
  return true;
}

void BoundedKeyVault::Leave(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  --total_;
  const auto found = under_way_.find(vault);
  if (--found->second == 0) under_way_.erase(found);
}

template <typename T>
absl::StatusOr<T> BoundedKeyVault::InTurn(
    const KeyRef& key, double calls_per_second, absl::Time deadline, absl::Duration call_time,
    const std::function<absl::StatusOr<T>(absl::Time)>& call) {
  if (!Enter(key.vault_uri, deadline)) return VaultThrottled(kRetryAfter);
  while (!budget_.TryTake(key.vault_uri, calls_per_second)) {
    if (clock_.WallNow() + kLook >= deadline) {
      Leave(key.vault_uri);
      return VaultThrottled(kRetryAfter);
    }
    clock_.Sleep(kLook);
  }
  absl::StatusOr<T> result = call(std::min(deadline, clock_.WallNow() + call_time));
  Leave(key.vault_uri);
  if (OutcomeOf(result.status()) == VaultOutcome::kThrottled) {
    budget_.Throttled(key.vault_uri, RetryAfterOf(result.status()).value_or(kRetryAfter), 0);
  } else if (result.ok()) {
    budget_.Answered(key.vault_uri);
  }
  return result;
}

absl::StatusOr<KeyDescription> BoundedKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  return InTurn<KeyDescription>(key, CallsPerSecond(kUsualAlgorithm, kUsualBytes), deadline,
                                options_.call_time,
                                [&](absl::Time until) { return vault_.Describe(key, until); });
}

absl::StatusOr<WrappedKey> BoundedKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                                 absl::Time deadline) {
  return InTurn<WrappedKey>(key, CallsPerSecond(kUsualAlgorithm, kUsualBytes), deadline,
                            2 * options_.call_time,
                            [&](absl::Time until) { return vault_.Wrap(key, dek, until); });
}

absl::StatusOr<crypto::SecretBytes> BoundedKeyVault::Unwrap(const KeyRef& key,
                                                            const WrappedKey& wrapped,
                                                            absl::Time deadline) {
  return InTurn<crypto::SecretBytes>(
      key, CallsPerSecond(wrapped.algorithm, wrapped.ciphertext.size()), deadline,
      options_.call_time,
      [&](absl::Time until) { return vault_.Unwrap(key, wrapped, until); });
}

}  // namespace cmkstore::vault
