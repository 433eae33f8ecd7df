#include "vault/dev_vault/key_record.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr int64_t kDay = int64_t{24} * 60 * 60;
constexpr std::array<absl::string_view, 7> kLevels = {
    "Purgeable",
    "Recoverable+Purgeable",
    "Recoverable",
    "Recoverable+ProtectedSubscription",
    "CustomizedRecoverable+Purgeable",
    "CustomizedRecoverable",
    "CustomizedRecoverable+ProtectedSubscription"};

void TakeTime(const json& attributes, const char* name, std::optional<int64_t>& time) {
  const auto found = attributes.find(name);
  if (found == attributes.end() || found->is_null()) return;
  time = found->get<int64_t>();
}

json Tagged(json shown, const KeyVersion& version) {
  if (!version.tags.empty()) shown["tags"] = version.tags;
  return shown;
}

}  // namespace

bool IsRecoveryLevel(const std::string& level) {
  return std::find(kLevels.begin(), kLevels.end(), level) != kLevels.end();
}
bool KeepsDeleted(const std::string& level) { return level != "Purgeable"; }
bool IsPurgeProtected(const std::string& level) { return !absl::StrContains(level, "Purgeable"); }
int RecoverableDays(const std::string& level) {
  if (!KeepsDeleted(level)) return 0;
  return absl::StartsWith(level, "Customized") ? 7 : 90;
}

json ToState(const KeyRecord& key) {
  json state = {{"recovery_level", key.recovery_level}, {"versions", json::array()}};
  if (key.deleted.has_value()) {
    state["deleted"] = *key.deleted;
    state["purge_at"] = key.purge_at;
  }
  for (const KeyVersion& version : key.versions) {
    json one = {{"id", version.id},           {"material", version.material->ToState()},
                {"enabled", version.enabled}, {"key_ops", version.operations},
                {"tags", version.tags},       {"created", version.created},
                {"updated", version.updated}};
    if (version.nbf) one["nbf"] = *version.nbf;
    if (version.exp) one["exp"] = *version.exp;
    state["versions"].push_back(std::move(one));
  }
  return state;
}

std::optional<KeyRecord> FromState(const json& state) {
  KeyRecord key;
  key.recovery_level = state.at("recovery_level").get<std::string>();
  TakeTime(state, "deleted", key.deleted);
  key.purge_at = state.value("purge_at", int64_t{0});
  for (const json& one : state.at("versions")) {
    auto material = KeyMaterial::FromState(one.at("material"));
    if (!material.ok()) return std::nullopt;
    KeyVersion version;
    version.id = one.at("id").get<std::string>();
    version.material = *material;
    version.enabled = one.at("enabled").get<bool>();
    TakeTime(one, "nbf", version.nbf);
    TakeTime(one, "exp", version.exp);
    version.operations = one.at("key_ops").get<std::vector<std::string>>();
    version.tags = one.at("tags").get<std::map<std::string, std::string>>();
    version.created = one.at("created").get<int64_t>();
    version.updated = one.at("updated").get<int64_t>();
    key.versions.push_back(std::move(version));
  }
  if (key.versions.empty()) return std::nullopt;
  return key;
}

std::string KeyId(const std::string& url, const std::string& name, const std::string& version) {
  return version.empty() ? absl::StrCat(url, "/keys/", name)
                         : absl::StrCat(url, "/keys/", name, "/", version);
}

json Attributes(const KeyRecord& key, const KeyVersion& version) {
  json attributes = {{"enabled", version.enabled},
                     {"created", version.created},
                     {"updated", version.updated},
                     {"recoveryLevel", key.recovery_level}};
  if (const int days = RecoverableDays(key.recovery_level); days > 0) {
    attributes["recoverableDays"] = days;
  }
  if (version.nbf) attributes["nbf"] = *version.nbf;
  if (version.exp) attributes["exp"] = *version.exp;
  return attributes;
}

json Bundle(const std::string& url, const std::string& name, const KeyRecord& key,
            const KeyVersion& version) {
  json shown = version.material->PublicJwk();
  shown["kid"] = KeyId(url, name, version.id);
  shown["key_ops"] = version.operations;
  return Tagged({{"key", shown}, {"attributes", Attributes(key, version)}}, version);
}

json DeletedBundle(const std::string& url, const std::string& name, const KeyRecord& key) {
  json bundle = Bundle(url, name, key, key.versions.back());
  if (key.deleted.has_value()) {
    bundle["recoveryId"] = absl::StrCat(url, "/deletedkeys/", name);
    bundle["deletedDate"] = *key.deleted;
    bundle["scheduledPurgeDate"] = *key.deleted + RecoverableDays(key.recovery_level) * kDay;
  }
  return bundle;
}

json ListItem(const std::string& url, const std::string& name, const KeyRecord& key,
              const KeyVersion& version, bool names_version) {
  json item = {{"kid", KeyId(url, name, names_version ? version.id : "")},
               {"attributes", Attributes(key, version)}};
  if (key.deleted.has_value()) {
    const json deleted = DeletedBundle(url, name, key);
    for (const char* field : {"recoveryId", "deletedDate", "scheduledPurgeDate"}) {
      item[field] = deleted.at(field);
    }
  }
  return Tagged(std::move(item), version);
}

void ApplyRequest(const json& request, KeyVersion& version) {
  if (request.contains("key_ops") && !request["key_ops"].is_null()) {
    version.operations = request["key_ops"].get<std::vector<std::string>>();
  }
  if (request.contains("tags") && !request["tags"].is_null()) {
    version.tags = request["tags"].get<std::map<std::string, std::string>>();
  }
  const json attributes = request.value("attributes", json::object());
  if (!attributes.is_object()) return;
  version.enabled = attributes.value("enabled", version.enabled);
  TakeTime(attributes, "nbf", version.nbf);
  TakeTime(attributes, "exp", version.exp);
}

}  // namespace cmkstore::dev_vault
