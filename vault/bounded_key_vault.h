#pragma once

#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "vault/call_budget.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

struct BoundedKeyVaultOptions {
  size_t per_vault;
  size_t overall;
  // Of one call, once its turn has come. A wrap asks the vault twice, and has twice as long.
  absl::Duration call_time = absl::Seconds(3);
};

// For calls that a person waits for (checks, new hubs, rotations): few at once to each vault and
// overall, and within the vault's budget, so that they take nothing from the keys of hubs in use. A
// call waits for its turn until its deadline, and then has as long as the calls for documents have.
// To a key whose type is not known yet it costs as one to the largest, until the answer shows it.
//
// Thread-safe. All that it is given by reference must outlive this. Errors: as the vault's, and
// VAULT_THROTTLED when a turn does not come before the deadline.
class BoundedKeyVault final : public KeyVault {
 public:
  BoundedKeyVault(BoundedKeyVaultOptions options, KeyVault& vault, CallBudget& budget, Clock& clock)
      : options_(options), vault_(vault), budget_(budget), clock_(clock) {}

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  // What a call costs: of the vault's budget (a wrap is two calls at once, so half as often), and
  // of time.
  struct Cost {
    double calls_per_second;
    absl::Duration call_time;
  };
  // `rate_of`: how often calls of this kind may be made, as the answer shows.
  template <typename T>
  absl::StatusOr<T> InTurn(const KeyRef& key, const Cost& cost, absl::Time deadline,
                           const std::function<absl::StatusOr<T>(absl::Time)>& call,
                           const std::function<double(const T&)>& rate_of);
  bool Enter(const std::string& vault, absl::Time deadline);
  void Leave(const std::string& vault);

  const BoundedKeyVaultOptions options_;
  KeyVault& vault_;
  CallBudget& budget_;
  Clock& clock_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, size_t> under_way_ ABSL_GUARDED_BY(mutex_);
  size_t total_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cmkstore::vault
