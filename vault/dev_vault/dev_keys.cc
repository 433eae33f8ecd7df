#include "vault/dev_vault/dev_keys.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "crypto/random.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

const std::vector<std::string> kAllOperations = {"encrypt", "decrypt", "sign",
                                                 "verify",  "wrapKey", "unwrapKey"};

Answer NotFoundAnswer(const std::string& name) {
  return ErrorAnswer(
      404, "KeyNotFound",
      absl::StrCat("A key with (name/id) ", name, " was not found in this key vault."));
}

Answer BadParameter(absl::string_view message) { return ErrorAnswer(400, "BadParameter", message); }

bool Allows(const std::vector<std::string>& operations, absl::string_view wanted) {
  return std::any_of(operations.begin(), operations.end(), [wanted](const std::string& one) {
    return absl::EqualsIgnoreCase(one, wanted);
  });
}

// {"alg","value"} of wrapkey and unwrapkey; the value's bytes, or nothing if it is not as it should
// be.
std::optional<std::string> OperationValue(const std::string& body) {
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object() || request.value("alg", "") != "RSA-OAEP-256") return std::nullopt;
  const auto value = request.find("value");
  std::string bytes;
  if (value == request.end() || !value->is_string() ||
      !absl::WebSafeBase64Unescape(value->get<std::string>(), &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

Answer OperationAnswer(const std::string& kid, const std::string& value) {
  return {200, json{{"kid", kid}, {"value", absl::WebSafeBase64Escape(value)}}.dump()};
}

std::string KeyUrl(const std::string& url, const std::string& name, const std::string& version) {
  return absl::StrCat(url, "/keys/", name, "/", version);
}

}  // namespace

Answer ErrorAnswer(int status, absl::string_view code, absl::string_view message,
                   absl::string_view inner_code) {
  json error = {{"code", std::string(code)}, {"message", std::string(message)}};
  if (!inner_code.empty()) error["innererror"] = {{"code", std::string(inner_code)}};
  return {status, json{{"error", error}}.dump()};
}

DevKeys::DevKeys(std::string state_file, std::string recovery_level, Clock& clock)
    : state_file_(std::move(state_file)),
      recovery_level_(std::move(recovery_level)),
      clock_(clock) {}

bool DevKeys::Load() {
  absl::MutexLock lock(&mutex_);
  const std::optional<std::string> text = ReadFile(state_file_);
  if (!text.has_value()) return true;
  const json state = json::parse(*text, nullptr, false);
  if (!state.is_object()) return false;
  for (const auto& [name, stored] : state.items()) {
    Key key;
    key.deleted = stored.value("deleted", false);
    for (const json& one : stored["versions"]) {
      auto rsa = crypto::RsaPrivateKey::FromPem(one.value("pem", ""));
      if (!rsa.ok()) return false;
      Version version;
      version.id = one.value("id", "");
      version.key = std::make_shared<crypto::RsaPrivateKey>(*rsa);
      version.enabled = one.value("enabled", true);
      if (one.contains("nbf")) version.nbf = one["nbf"].get<int64_t>();
      if (one.contains("exp")) version.exp = one["exp"].get<int64_t>();
      version.operations = one.value("key_ops", kAllOperations);
      version.created = one.value("created", int64_t{0});
      version.updated = one.value("updated", int64_t{0});
      key.versions.push_back(std::move(version));
    }
    keys_[name] = std::move(key);
  }
  return true;
}

Answer DevKeys::Saved(Answer answer) {
  json state = json::object();
  for (const auto& [name, key] : keys_) {
    json& stored = state[name] = {{"deleted", key.deleted}, {"versions", json::array()}};
    for (const Version& version : key.versions) {
      json one = {{"id", version.id},           {"pem", version.key->ToPem()},
                  {"enabled", version.enabled}, {"key_ops", version.operations},
                  {"created", version.created}, {"updated", version.updated}};
      if (version.nbf) one["nbf"] = *version.nbf;
      if (version.exp) one["exp"] = *version.exp;
      stored["versions"].push_back(std::move(one));
    }
  }
  if (!WriteFileDurably(state_file_, state.dump(1))) {
    return ErrorAnswer(500, "InternalError", "the state file cannot be written");
  }
  return answer;
}

DevKeys::Version* DevKeys::Find(const std::string& name, const std::string& version) {
  const auto key = keys_.find(name);
  if (key == keys_.end() || key->second.deleted) return nullptr;
  for (Version& one : key->second.versions) {
    if (one.id == version) return &one;
  }
  return version.empty() ? &key->second.versions.back() : nullptr;
}

Answer DevKeys::Bundle(const std::string& url, const std::string& name,
                       const Version& version) const {
  json attributes = {{"enabled", version.enabled},
                     {"created", version.created},
                     {"updated", version.updated},
                     {"recoveryLevel", recovery_level_}};
  if (recovery_level_ != "Purgeable") attributes["recoverableDays"] = 90;
  if (version.nbf) attributes["nbf"] = *version.nbf;
  if (version.exp) attributes["exp"] = *version.exp;
  const json key = {{"kid", KeyUrl(url, name, version.id)},
                    {"kty", "RSA"},
                    {"key_ops", version.operations},
                    {"n", absl::WebSafeBase64Escape(version.key->ModulusBytes())},
                    {"e", absl::WebSafeBase64Escape(version.key->ExponentBytes())}};
  return {200, json{{"key", key}, {"attributes", attributes}}.dump()};
}

Answer DevKeys::AddVersion(const std::string& url, const std::string& name, int bits,
                           const std::vector<std::string>& operations) {
  auto rsa = crypto::RsaPrivateKey::Generate(bits);
  if (!rsa.ok()) return BadParameter("key_size must be 2048, 3072 or 4096");
  Version version;
  version.id = crypto::SystemRandom().NewUid<HubUid>().ToHex();
  version.key = std::make_shared<crypto::RsaPrivateKey>(*rsa);
  version.operations = operations;
  version.created = version.updated = absl::ToUnixSeconds(clock_.WallNow());
  keys_[name].versions.push_back(version);
  return Saved(Bundle(url, name, version));
}

Answer DevKeys::Create(const std::string& url, const std::string& name, const std::string& body) {
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object() || !absl::StartsWith(request.value("kty", ""), "RSA")) {
    return BadParameter("kty must be RSA");
  }
  const int bits = request.value("key_size", 2048);
  if (bits != 2048 && bits != 3072 && bits != 4096) {
    return BadParameter("key_size must be 2048, 3072 or 4096");
  }
  absl::MutexLock lock(&mutex_);
  if (const auto key = keys_.find(name); key != keys_.end() && key->second.deleted) {
    return ErrorAnswer(409, "Conflict", "the key is deleted but recoverable",
                       "ObjectIsDeletedButRecoverable");
  }
  return AddVersion(url, name, bits, request.value("key_ops", kAllOperations));
}

Answer DevKeys::Get(const std::string& url, const std::string& name, const std::string& version) {
  absl::MutexLock lock(&mutex_);
  const Version* found = Find(name, version);
  return found == nullptr ? NotFoundAnswer(name) : Bundle(url, name, *found);
}

Answer DevKeys::Update(const std::string& url, const std::string& name, const std::string& version,
                       const std::string& body) {
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object()) return BadParameter("the body must be a JSON object");
  absl::MutexLock lock(&mutex_);
  Version* found = Find(name, version);
  if (found == nullptr) return NotFoundAnswer(name);
  if (request.contains("key_ops")) {
    found->operations = request["key_ops"].get<std::vector<std::string>>();
  }
  const json attributes = request.value("attributes", json::object());
  found->enabled = attributes.value("enabled", found->enabled);
  if (attributes.contains("nbf")) found->nbf = attributes["nbf"].get<int64_t>();
  if (attributes.contains("exp")) found->exp = attributes["exp"].get<int64_t>();
  found->updated = absl::ToUnixSeconds(clock_.WallNow());
  return Saved(Bundle(url, name, *found));
}

Answer DevKeys::Rotate(const std::string& url, const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const Version* latest = Find(name, "");
  if (latest == nullptr) return NotFoundAnswer(name);
  const std::vector<std::string> operations = latest->operations;
  return AddVersion(url, name, latest->key->bits(), operations);
}

Answer DevKeys::Delete(const std::string& url, const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const Version* latest = Find(name, "");
  if (latest == nullptr) return NotFoundAnswer(name);
  Answer answer = Bundle(url, name, *latest);
  if (recovery_level_ == "Purgeable") {
    keys_.erase(name);
  } else {
    keys_[name].deleted = true;
    json body = json::parse(answer.body);
    body["recoveryId"] = absl::StrCat(url, "/deletedkeys/", name);
    body["deletedDate"] = absl::ToUnixSeconds(clock_.WallNow());
    answer.body = body.dump();
  }
  return Saved(std::move(answer));
}

Answer DevKeys::Recover(const std::string& url, const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto key = keys_.find(name);
  if (key == keys_.end() || !key->second.deleted) return NotFoundAnswer(name);
  key->second.deleted = false;
  return Saved(Bundle(url, name, key->second.versions.back()));
}

Answer DevKeys::Purge(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto key = keys_.find(name);
  if (key == keys_.end() || !key->second.deleted) return NotFoundAnswer(name);
  if (!absl::StrContains(recovery_level_, "Purgeable")) {
    return ErrorAnswer(403, "Forbidden", "purge protection is on", "ForbiddenByPolicy");
  }
  keys_.erase(key);
  return Saved({204, ""});
}

Answer DevKeys::ListVersions(const std::string& url, const std::string& name) {
  absl::MutexLock lock(&mutex_);
  if (Find(name, "") == nullptr) return NotFoundAnswer(name);
  json values = json::array();
  for (const Version& version : keys_[name].versions) {
    values.push_back({{"kid", KeyUrl(url, name, version.id)},
                      {"attributes",
                       {{"enabled", version.enabled},
                        {"created", version.created},
                        {"updated", version.updated},
                        {"recoveryLevel", recovery_level_}}}});
  }
  return {200, json{{"value", values}, {"nextLink", nullptr}}.dump()};
}

Answer DevKeys::Wrap(const std::string& url, const std::string& name, const std::string& version,
                     const std::string& body) {
  absl::MutexLock lock(&mutex_);
  const Version* found = Find(name, version);
  if (found == nullptr) return NotFoundAnswer(name);
  if (!Allows(found->operations, "wrapKey")) {
    return ErrorAnswer(403, "Forbidden", "the operation is not allowed", "KeyOperationForbidden");
  }
  // As on Azure, a disabled key still wraps; one outside its dates does not.
  const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
  if ((found->nbf && now < *found->nbf) || (found->exp && now >= *found->exp)) {
    return ErrorAnswer(403, "Forbidden", "the key is outside its validity",
                       "KeyNotYetValidOrExpired");
  }
  const std::optional<std::string> value = OperationValue(body);
  const std::string wrapped = value ? found->key->OaepEncrypt(*value) : "";
  if (wrapped.empty()) return BadParameter("alg or value is not right");
  return OperationAnswer(KeyUrl(url, name, found->id), wrapped);
}

Answer DevKeys::Unwrap(const std::string& url, const std::string& name, const std::string& version,
                       const std::string& body) {
  absl::MutexLock lock(&mutex_);
  const Version* found = Find(name, version);
  if (found == nullptr) return NotFoundAnswer(name);
  if (!found->enabled) {
    return ErrorAnswer(403, "Forbidden", "Operation unwrapKey is not allowed on a disabled key.",
                       "KeyDisabled");
  }
  if (!Allows(found->operations, "unwrapKey")) {
    return ErrorAnswer(403, "Forbidden", "the operation is not allowed", "KeyOperationForbidden");
  }
  const std::optional<std::string> value = OperationValue(body);
  if (!value.has_value()) return BadParameter("alg or value is not right");
  const absl::StatusOr<std::string> opened = found->key->OaepDecrypt(*value);
  if (!opened.ok()) return BadParameter("the ciphertext does not open with this key");
  return OperationAnswer(KeyUrl(url, name, found->id), *opened);
}

}  // namespace cmkstore::dev_vault
