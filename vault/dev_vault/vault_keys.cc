#include "vault/dev_vault/vault_keys.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "crypto/random.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

Answer Ok(const json& body) {
  Answer answer;
  answer.body = body.dump();
  return answer;
}

Answer NotFound(const VaultKeys::Address& key) {
  return ErrorAnswer(
      404, "KeyNotFound",
      absl::StrCat("A key with (name/id) ", key.name, key.version.empty() ? "" : "/", key.version,
                   " was not found in this key vault. If you recently deleted this "
                   "key you may be able to recover it using the correct recovery "
                   "command."));
}

Answer UnknownVersion(const VaultKeys::Address& key, const VaultSettings& settings) {
  if (settings.unknown_version_status == 400) {
    return BadParameter(absl::StrCat("The key has no version ", key.version, "."));
  }
  return NotFound(key);
}

Answer NotFoundDeleted(const VaultKeys::Address& key) {
  return ErrorAnswer(404, "KeyNotFound",
                     absl::StrCat("Deleted Key not found: ", key.name,
                                  ". If you recently deleted this key you may be able to recover "
                                  "it using the correct recovery command."));
}

KeyVersion* FindVersion(KeyRecord& key, const std::string& version) {
  if (version.empty()) return &key.versions.back();
  for (KeyVersion& one : key.versions) {
    if (one.id == version) return &one;
  }
  return nullptr;
}

std::string NewVersionId() { return crypto::SystemRandom().NewUid<HubUid>().ToHex(); }

// attributes.recoveryLevel of a create or import: the local vault's own extension, so that one
// vault can hold keys of every level.
std::string WantedLevel(const json& request, const VaultSettings& settings) {
  const json attributes = request.value("attributes", json::object());
  return attributes.value("recoveryLevel", settings.recovery_level);
}

Answer Paged(json values, const VaultKeys::Page& page) {
  json shown = json::array();
  for (size_t i = page.skip; i < values.size() && shown.size() < page.size; ++i) {
    shown.push_back(std::move(values[i]));
  }
  json body = {{"nextLink", nullptr}};
  if (page.skip + shown.size() < values.size()) {
    body["nextLink"] = absl::StrCat(page.next_link, page.skip + shown.size());
  }
  body["value"] = std::move(shown);
  return Ok(body);
}

}  // namespace

VaultKeys::VaultKeys(std::string state_file, SettableClock& clock)
    : state_file_(std::move(state_file)), clock_(clock) {}

bool VaultKeys::CaseBlind::operator()(const std::string& a, const std::string& b) const {
  return absl::AsciiStrToLower(a) < absl::AsciiStrToLower(b);
}

std::string VaultKeys::Spelled(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto found = keys_.find(name);
  return found == keys_.end() ? name : found->first;
}

bool VaultKeys::Load() {
  absl::MutexLock lock(&mutex_);
  const std::optional<std::string> text = ReadFile(state_file_);
  if (!text.has_value()) return true;
  try {
    const json state = json::parse(*text);
    for (const auto& [name, stored] : state.items()) {
      std::optional<KeyRecord> key = FromState(stored);
      if (!key.has_value()) return false;
      keys_[name] = std::move(*key);
    }
  } catch (const json::exception&) {
    return false;
  }
  return true;
}

Answer VaultKeys::Saved(const json& answer) {
  json state = json::object();
  for (const auto& [name, key] : keys_) state[name] = ToState(key);
  if (!WriteFileDurably(state_file_, state.dump(1))) {
    return ErrorAnswer(500, "InternalServerError", "The state file cannot be written.");
  }
  return Ok(answer);
}

// A deleted key whose retention is over is gone, as on Azure, without anyone's call.
void VaultKeys::PurgeWhatIsDue() {
  const int64_t now = clock_.UnixNow();
  std::erase_if(keys_, [now](const auto& entry) {
    return entry.second.deleted.has_value() && entry.second.purge_at <= now;
  });
}

KeyRecord* VaultKeys::FindLive(const std::string& name) {
  PurgeWhatIsDue();
  const auto found = keys_.find(name);
  return found == keys_.end() || found->second.deleted ? nullptr : &found->second;
}

KeyRecord* VaultKeys::FindDeleted(const std::string& name) {
  PurgeWhatIsDue();
  const auto found = keys_.find(name);
  return found == keys_.end() || !found->second.deleted ? nullptr : &found->second;
}

Answer VaultKeys::AddVersion(const Address& key, KeyVersion version,
                             const std::string& recovery_level) {
  version.id = NewVersionId();
  version.created = version.updated = clock_.UnixNow();
  absl::MutexLock lock(&mutex_);
  if (FindDeleted(key.name) != nullptr) {
    return ErrorAnswer(409, "Conflict",
                       absl::StrCat("Key ", key.name,
                                    " is currently in a deleted but recoverable state, and its "
                                    "name cannot be reused; in this state, the key can only be "
                                    "recovered or purged."),
                       "ObjectIsDeletedButRecoverable");
  }
  KeyRecord& record = keys_[key.name];
  if (record.versions.empty()) record.recovery_level = recovery_level;
  record.versions.push_back(std::move(version));
  return Saved(Bundle(key.url, key.name, record, record.versions.back()));
}

Answer VaultKeys::Create(const Address& key, const std::string& body,
                         const VaultSettings& settings) {
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object()) return BadParameter("The request body must be a JSON object.");
  const std::string type = request.value("kty", "");
  if (type == "oct-HSM" && !settings.is_managed_hsm()) {
    return BadParameter("Property 'kty': oct-HSM keys are for managed HSMs only.");
  }
  if (settings.is_managed_hsm() && type == "RSA") {
    return BadParameter("Property 'kty': a managed HSM has RSA-HSM and oct-HSM keys only.");
  }
  const std::string level = WantedLevel(request, settings);
  if (!IsRecoveryLevel(level))
    return BadParameter("Property 'recoveryLevel' has an invalid value.");
  auto material =
      KeyMaterial::Generate(type, request.value("key_size", type == "oct-HSM" ? 256 : 2048));
  if (!material.ok()) return BadParameter(material.status().message());
  KeyVersion version;
  version.material = *material;
  version.operations = DefaultOperations(**material);
  ApplyRequest(request, version);
  return AddVersion(key, std::move(version), level);
}

Answer VaultKeys::Import(const Address& key, const std::string& body,
                         const VaultSettings& settings) {
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object() || !request.contains("key") || !request["key"].is_object()) {
    return BadParameter("Property 'key' is required.");
  }
  json jwk = request["key"];
  if (request.value("Hsm", request.value("hsm", false)) && jwk.value("kty", "") == "RSA") {
    jwk["kty"] = "RSA-HSM";
  }
  const std::string level = WantedLevel(request, settings);
  if (!IsRecoveryLevel(level))
    return BadParameter("Property 'recoveryLevel' has an invalid value.");
  auto material = KeyMaterial::Import(jwk);
  if (!material.ok()) return BadParameter(material.status().message());
  if ((*material)->is_rsa() == false && !settings.is_managed_hsm()) {
    return BadParameter("Property 'kty': oct-HSM keys are for managed HSMs only.");
  }
  KeyVersion version;
  version.material = *material;
  version.operations = DefaultOperations(**material);
  ApplyRequest(jwk, version);
  ApplyRequest(request, version);
  return AddVersion(key, std::move(version), level);
}

Answer VaultKeys::Rotate(const Address& key) {
  KeyVersion next;
  std::string level;
  {
    absl::MutexLock lock(&mutex_);
    const KeyRecord* record = FindLive(key.name);
    if (record == nullptr) return NotFound(key);
    next = record->versions.back();
    level = record->recovery_level;
  }
  auto material = KeyMaterial::Generate(next.material->type(), next.material->bits());
  if (!material.ok()) return BadParameter(material.status().message());
  next.material = *material;
  next.enabled = true;
  next.nbf.reset();
  next.exp.reset();
  return AddVersion(key, std::move(next), level);
}

Answer VaultKeys::Get(const Address& key, const VaultSettings& settings) {
  absl::MutexLock lock(&mutex_);
  KeyRecord* record = FindLive(key.name);
  if (record == nullptr) return NotFound(key);
  const KeyVersion* version = FindVersion(*record, key.version);
  if (version == nullptr) return UnknownVersion(key, settings);
  return Ok(Bundle(key.url, key.name, *record, *version));
}

Answer VaultKeys::Update(const Address& key, const std::string& body,
                         const VaultSettings& settings) {
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object()) return BadParameter("The request body must be a JSON object.");
  absl::MutexLock lock(&mutex_);
  KeyRecord* record = FindLive(key.name);
  if (record == nullptr) return NotFound(key);
  KeyVersion* version = FindVersion(*record, key.version);
  if (version == nullptr) return UnknownVersion(key, settings);
  KeyVersion changed = *version;  // a request that throws half way must not count
  ApplyRequest(request, changed);
  changed.updated = clock_.UnixNow();
  *version = std::move(changed);
  return Saved(Bundle(key.url, key.name, *record, *version));
}

Answer VaultKeys::Delete(const Address& key) {
  absl::MutexLock lock(&mutex_);
  KeyRecord* record = FindLive(key.name);
  if (record == nullptr) return NotFound(key);
  if (!KeepsDeleted(record->recovery_level)) {
    const json bundle = DeletedBundle(key.url, key.name, *record);
    keys_.erase(key.name);
    return Saved(bundle);
  }
  record->deleted = clock_.UnixNow();
  const json bundle = DeletedBundle(key.url, key.name, *record);
  record->purge_at = bundle.at("scheduledPurgeDate").get<int64_t>();
  return Saved(bundle);
}

Answer VaultKeys::ListKeys(const std::string& url, const Page& page) {
  absl::MutexLock lock(&mutex_);
  json values = json::array();
  for (const auto& [name, key] : keys_) {
    if (!key.deleted) values.push_back(ListItem(url, name, key, key.versions.back(), false));
  }
  return Paged(std::move(values), page);
}

Answer VaultKeys::ListVersions(const Address& key, const Page& page) {
  absl::MutexLock lock(&mutex_);
  const KeyRecord* record = FindLive(key.name);
  json values = json::array();
  // As on Azure, an unknown key has no versions, and that is no error.
  if (record != nullptr) {
    for (const KeyVersion& version : record->versions) {
      values.push_back(ListItem(key.url, key.name, *record, version, true));
    }
  }
  return Paged(std::move(values), page);
}

Answer VaultKeys::Operate(const KeyOperation& operation, const Address& key,
                          const std::string& body, const VaultSettings& settings) {
  KeyVersion used;
  {
    absl::MutexLock lock(&mutex_);
    KeyRecord* record = FindLive(key.name);
    if (record == nullptr) return NotFound(key);
    const KeyVersion* version = FindVersion(*record, key.version);
    if (version == nullptr) return UnknownVersion(key, settings);
    used = *version;
  }
  return dev_vault::Operate(operation, used, KeyId(key.url, key.name, used.id), body,
                            clock_.UnixNow());
}

Answer VaultKeys::GetDeleted(const Address& key) {
  absl::MutexLock lock(&mutex_);
  const KeyRecord* record = FindDeleted(key.name);
  if (record == nullptr) return NotFoundDeleted(key);
  return Ok(DeletedBundle(key.url, key.name, *record));
}

Answer VaultKeys::ListDeleted(const std::string& url, const Page& page) {
  absl::MutexLock lock(&mutex_);
  PurgeWhatIsDue();
  json values = json::array();
  for (const auto& [name, key] : keys_) {
    if (key.deleted) values.push_back(ListItem(url, name, key, key.versions.back(), false));
  }
  return Paged(std::move(values), page);
}

Answer VaultKeys::Recover(const Address& key) {
  absl::MutexLock lock(&mutex_);
  KeyRecord* record = FindDeleted(key.name);
  if (record == nullptr) return NotFoundDeleted(key);
  record->deleted.reset();
  return Saved(Bundle(key.url, key.name, *record, record->versions.back()));
}

Answer VaultKeys::Purge(const Address& key) {
  absl::MutexLock lock(&mutex_);
  const KeyRecord* record = FindDeleted(key.name);
  if (record == nullptr) return NotFoundDeleted(key);
  if (IsPurgeProtected(record->recovery_level)) {
    return Forbidden(
        "Operation \"purge\" is not allowed because purge protection is enabled for this vault. "
        "Key "
        "Vault service will automatically purge it after the retention period has passed.",
        "ForbiddenByPolicy");
  }
  keys_.erase(key.name);
  Answer answer = Saved(json::object());
  if (answer.status == 200) {
    answer.status = 204;
    answer.body.clear();
  }
  return answer;
}

}  // namespace cmkstore::dev_vault
