#include "vault/bounded_key_vault.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

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
absl::StatusOr<T> BoundedKeyVault::InTurn(const KeyRef& key, const Cost& cost, absl::Time deadline,
                                          const std::function<absl::StatusOr<T>(absl::Time)>& call,
                                          const std::function<double(const T&)>& rate_of) {
  if (!Enter(key.vault_uri, deadline)) return VaultBudgetUsedUp(kRetryAfter);
  if (absl::Status turn = budget_.Await(key.vault_uri, cost.calls_per_second, deadline);
      !turn.ok()) {
    Leave(key.vault_uri);
    return turn;
  }
  absl::StatusOr<T> result = call(std::min(deadline, clock_.WallNow() + cost.call_time));
  Leave(key.vault_uri);
  if (OutcomeOf(result.status()) == VaultOutcome::kThrottled) {
    budget_.Throttled(key.vault_uri, RetryAfterOf(result.status()).value_or(kRetryAfter), 0);
  } else if (result.ok()) {
    budget_.GiveBack(key.vault_uri, cost.calls_per_second, rate_of(*result));
    budget_.Answered(key.vault_uri);
  }
  return result;
}

absl::StatusOr<KeyDescription> BoundedKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  return InTurn<KeyDescription>(
      key, {CallsPerSecondOfAnyKey(), options_.call_time}, deadline,
      [&](absl::Time until) { return vault_.Describe(key, until); },
      [](const KeyDescription& described) {
        return CallsPerSecond(AlgorithmFor(described.type), described.size_bits / 8);
      });
}

absl::StatusOr<WrappedKey> BoundedKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                                 absl::Time deadline) {
  return InTurn<WrappedKey>(
      key, {CallsPerSecondOfAnyKey() / 2, 2 * options_.call_time}, deadline,
      [&](absl::Time until) { return vault_.Wrap(key, dek, until); },
      [](const WrappedKey& wrapped) {
        return CallsPerSecond(wrapped.algorithm, wrapped.ciphertext.size()) / 2;
      });
}

absl::StatusOr<crypto::SecretBytes> BoundedKeyVault::Unwrap(const KeyRef& key,
                                                            const WrappedKey& wrapped,
                                                            absl::Time deadline) {
  const double rate = CallsPerSecond(wrapped.algorithm, wrapped.ciphertext.size());
  return InTurn<crypto::SecretBytes>(
      key, {rate, options_.call_time}, deadline,
      [&](absl::Time until) { return vault_.Unwrap(key, wrapped, until); },
      [rate](const crypto::SecretBytes&) { return rate; });
}

}  // namespace cmkstore::vault
