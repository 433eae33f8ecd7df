#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "vault/dev_vault/settable_clock.h"
#include "vault/dev_vault/vault_keys.h"
#include "vault/dev_vault/vault_settings.h"

namespace cmkstore::dev_vault {

// One vault of the process: its keys and how it is set up. Thread-safe.
class LocalVault {
 public:
  // Reads what `dir` holds. Errors: STATE_INVALID.
  static absl::StatusOr<std::shared_ptr<LocalVault>> Open(const std::string& dir, std::string name,
                                                          VaultSettings defaults,
                                                          SettableClock& clock);
  const std::string& name() const { return name_; }
  VaultKeys& keys() { return keys_; }
  VaultSettings settings() const;
  // Says what is wrong, or nothing. Durable when it returns.
  std::string Change(const nlohmann::json& change);
  // False when the vault's limit of key operations in 10 s is used up.
  bool TakeFromLimit();

 private:
  LocalVault(const std::string& dir, std::string name, VaultSettings settings,
             SettableClock& clock);

  const std::string settings_file_;
  const std::string name_;
  SettableClock& clock_;
  VaultKeys keys_;
  mutable absl::Mutex mutex_;
  VaultSettings settings_ ABSL_GUARDED_BY(mutex_);
  std::deque<absl::Time> recent_ ABSL_GUARDED_BY(mutex_);
};

// The vaults of this process by the host name that a call names; a vault comes to be when it is
// first named. Thread-safe.
class LocalVaults {
 public:
  LocalVaults(std::string dir, VaultSettings defaults, SettableClock& clock);

  // "kv1.vault.localhost" of "kv1.localhost:8443"; every loopback address is the vault "localhost".
  // Empty if it is no host name.
  static std::string NameOf(const std::string& host);
  // Errors: STATE_INVALID (a name that cannot be one, too many vaults, unreadable state).
  absl::StatusOr<std::shared_ptr<LocalVault>> Find(const std::string& host);

 private:
  const std::string dir_;
  const VaultSettings defaults_;
  SettableClock& clock_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<LocalVault>> vaults_ ABSL_GUARDED_BY(mutex_);
};

// What a token for a vault must be meant for: https://vault.azure.net, or its sovereign or managed
// HSM counterpart when the host is under such a suffix.
std::string ResourceOf(const LocalVault& vault, const VaultSettings& settings);

}  // namespace cmkstore::dev_vault
