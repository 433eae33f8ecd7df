#pragma once

#include <functional>
#include <utility>

#include "base/clock.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// The one retry loop of a request: repeats what was unreachable or throttled while the deadline
// leaves time, waiting 0.2, 0.4, 0.8 … s or as long as the vault asks. A denial is never repeated
// here: confirming it is the cache's work.
//
// Thread-safe. `vault` and `clock` must outlive this.
class RetryingKeyVault final : public KeyVault {
 public:
  // Asked before each repetition, with the answer that calls for it.
  using MayRetry = std::function<bool(const KeyRef& key, const absl::Status& answer)>;

  RetryingKeyVault(
      KeyVault& vault, Clock& clock,
      MayRetry may_retry = [](const KeyRef&, const absl::Status&) { return true; })
      : vault_(vault), clock_(clock), may_retry_(std::move(may_retry)) {}

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  template <typename T>
  absl::StatusOr<T> Retry(const KeyRef& key, absl::Time deadline,
                          const std::function<absl::StatusOr<T>()>& call);

  KeyVault& vault_;
  Clock& clock_;
  const MayRetry may_retry_;
};

}  // namespace cmkstore::vault
