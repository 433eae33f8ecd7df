#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vault/dev_vault/key_material.h"

namespace cmkstore::dev_vault {

// One version of a key. Times are Unix seconds.
struct KeyVersion {
  std::string id;  // 32 hex digits
  KeyMaterial::Ptr material;
  bool enabled = true;
  std::optional<int64_t> nbf, exp;
  std::vector<std::string> operations;  // key_ops
  std::map<std::string, std::string> tags;
  int64_t created = 0;
  int64_t updated = 0;
};

// A key of one vault: its versions, the last of which is the latest, and whether it is deleted.
struct KeyRecord {
  std::string recovery_level;
  std::vector<KeyVersion> versions;
  std::optional<int64_t> deleted;  // soft-deleted since
  int64_t purge_at = 0;            // if deleted
};

// The seven words of Azure Key Vault.
bool IsRecoveryLevel(const std::string& level);
bool KeepsDeleted(const std::string& level);      // soft delete
bool IsPurgeProtected(const std::string& level);  // a deleted key cannot be purged by anyone
int RecoverableDays(const std::string& level);    // 90, 7 for Customized…, 0 without soft delete

// What a state file keeps. FromState throws what nlohmann::json throws, or gives nothing.
nlohmann::json ToState(const KeyRecord& key);
std::optional<KeyRecord> FromState(const nlohmann::json& state);

// As the vault shows it. `url` is the vault's own: https://host[:port].
std::string KeyId(const std::string& url, const std::string& name, const std::string& version);
nlohmann::json Attributes(const KeyRecord& key, const KeyVersion& version);
nlohmann::json Bundle(const std::string& url, const std::string& name, const KeyRecord& key,
                      const KeyVersion& version);
nlohmann::json DeletedBundle(const std::string& url, const std::string& name, const KeyRecord& key);
// An item of a list: `version` empty for a list of keys.
nlohmann::json ListItem(const std::string& url, const std::string& name, const KeyRecord& key,
                        const KeyVersion& version, bool names_version);

// Takes attributes, key_ops and tags of a request. Throws what nlohmann::json throws.
void ApplyRequest(const nlohmann::json& request, KeyVersion& version);

}  // namespace cmkstore::dev_vault
