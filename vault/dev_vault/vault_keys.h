#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "vault/dev_vault/answer.h"
#include "vault/dev_vault/key_operations.h"
#include "vault/dev_vault/key_record.h"
#include "vault/dev_vault/settable_clock.h"
#include "vault/dev_vault/vault_settings.h"

namespace cmkstore::dev_vault {

// The keys of one vault: versions, attributes, soft delete. What it answers follows Azure Key
// Vault's api-version 7.4. Kept in one JSON file, written atomically and synced before a change is
// answered.
//
// Names of keys are the same in any case; answers spell them as they were when the key was made.
//
// Thread-safe; no lock is held while a key is made or used.
class VaultKeys {
 public:
  // Where a call comes in: `url` is the vault's own, as it was called: https://host[:port].
  struct Address {
    std::string url;
    std::string name;
    std::string version;  // empty: the latest
  };
  struct Page {
    size_t skip = 0;
    size_t size = 25;
    std::string next_link;  // without skip; empty if there is none to build
  };

  VaultKeys(std::string state_file, SettableClock& clock);
  // False if the state file exists and cannot be read.
  bool Load();
  // The name as its key has it, or as it is given if there is no such key.
  std::string Spelled(const std::string& name);

  Answer Create(const Address& key, const std::string& body, const VaultSettings& settings);
  Answer Import(const Address& key, const std::string& body, const VaultSettings& settings);
  Answer Rotate(const Address& key);
  Answer Get(const Address& key, const VaultSettings& settings);
  Answer Update(const Address& key, const std::string& body, const VaultSettings& settings);
  Answer Delete(const Address& key);
  Answer ListKeys(const std::string& url, const Page& page);
  Answer ListVersions(const Address& key, const Page& page);
  Answer Operate(const KeyOperation& operation, const Address& key, const std::string& body,
                 const VaultSettings& settings);

  Answer GetDeleted(const Address& key);
  Answer ListDeleted(const std::string& url, const Page& page);
  Answer Recover(const Address& key);
  Answer Purge(const Address& key);

 private:
  struct CaseBlind {
    bool operator()(const std::string& a, const std::string& b) const;
  };
  using Keys = std::map<std::string, KeyRecord, CaseBlind>;

  KeyRecord* FindLive(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  KeyRecord* FindDeleted(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PurgeWhatIsDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Answer AddVersion(const Address& key, KeyVersion version, const std::string& recovery_level);
  Answer Saved(const nlohmann::json& answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string state_file_;
  SettableClock& clock_;
  absl::Mutex mutex_;
  Keys keys_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::dev_vault
