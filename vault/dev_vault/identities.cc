#include "vault/dev_vault/identities.h"

#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "crypto/digest.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

const std::set<std::string> kFields = {"object_id", "secret",    "certificate",
                                       "federated", "managed",   "resource_id",
                                       "roles",     "client_id", "directories"};

// An object id that stays the same for a client id, in the shape of Entra's.
std::string ObjectIdOf(const std::string& client_id) {
  const std::string hex = absl::BytesToHexString(crypto::Sha256(client_id).substr(0, 16));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-4", hex.substr(13, 3), "-8",
                      hex.substr(17, 3), "-", hex.substr(20, 12));
}

std::vector<Identity::Federated> FederatedOf(const json& list) {
  std::vector<Identity::Federated> federated;
  for (const json& one : list) {
    Identity::Federated trust;
    trust.issuer = one.at("issuer").get<std::string>();
    trust.subject = one.at("subject").get<std::string>();
    trust.audience = one.value("audience", trust.audience);
    trust.jwks_file = one.value("jwks_file", "");
    if (const auto jwks = one.find("jwks"); jwks != one.end()) {
      trust.jwks = jwks->is_string() ? jwks->get<std::string>() : jwks->dump();
    }
    federated.push_back(std::move(trust));
  }
  return federated;
}

std::string Apply(const json& change, Identity& identity) {
  for (const auto& [field, value] : change.items()) {
    if (!kFields.contains(field)) return absl::StrCat("unknown field \"", field, "\"");
  }
  identity.object_id = change.value("object_id", identity.object_id);
  if (identity.object_id.empty()) identity.object_id = ObjectIdOf(identity.client_id);
  identity.secret = change.value("secret", identity.secret);
  identity.certificate = change.value("certificate", identity.certificate);
  identity.managed = change.value("managed", identity.managed);
  identity.resource_id = change.value("resource_id", identity.resource_id);
  identity.roles = change.value("roles", identity.roles);
  identity.directories = change.value("directories", identity.directories);
  if (change.contains("federated")) identity.federated = FederatedOf(change["federated"]);
  if (!identity.managed.empty() && identity.managed != "system" && identity.managed != "user") {
    return "managed is \"system\", \"user\" or empty";
  }
  return "";
}

}  // namespace

json ToJson(const Identity& identity, bool with_secret) {
  json federated = json::array();
  for (const Identity::Federated& one : identity.federated) {
    json trust = {{"issuer", one.issuer}, {"subject", one.subject}, {"audience", one.audience}};
    if (!one.jwks.empty()) trust["jwks"] = one.jwks;
    if (!one.jwks_file.empty()) trust["jwks_file"] = one.jwks_file;
    federated.push_back(std::move(trust));
  }
  json shown = {{"client_id", identity.client_id},
                {"object_id", identity.object_id},
                {"federated", federated},
                {"managed", identity.managed},
                {"roles", identity.roles},
                {"directories", identity.directories},
                {"certificate", identity.certificate},
                {"resource_id", identity.resource_id}};
  if (with_secret) shown["secret"] = identity.secret;
  return shown;
}

bool Identities::Load() {
  absl::MutexLock lock(&mutex_);
  const std::optional<std::string> text = ReadFile(state_file_);
  if (!text.has_value()) return true;
  try {
    const json state = json::parse(*text);
    for (const auto& [client_id, stored] : state.items()) {
      Identity identity;
      identity.client_id = client_id;
      if (!Apply(stored, identity).empty()) return false;
      identities_[client_id] = std::move(identity);
    }
  } catch (const json::exception&) {
    return false;
  }
  return true;
}

bool Identities::Save(const std::map<std::string, Identity>& identities) const {
  json state = json::object();
  for (const auto& [client_id, identity] : identities) state[client_id] = ToJson(identity, true);
  return WriteFileDurably(state_file_, state.dump(1));
}

std::optional<Identity> Identities::Find(const std::string& client_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = identities_.find(client_id);
  if (found == identities_.end()) return std::nullopt;
  return found->second;
}

std::optional<Identity> Identities::FindManaged(const std::string& client_id,
                                                const std::string& object_id,
                                                const std::string& resource_id) const {
  const bool named = !client_id.empty() || !object_id.empty() || !resource_id.empty();
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, identity] : identities_) {
    if (identity.managed.empty()) continue;
    if (!named && identity.managed != "system") continue;
    if (!client_id.empty() && id != client_id) continue;
    if (!object_id.empty() && identity.object_id != object_id) continue;
    if (!resource_id.empty() && identity.resource_id != resource_id) continue;
    return identity;
  }
  return std::nullopt;
}

std::vector<Identity> Identities::List() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Identity> all;
  all.reserve(identities_.size());
  for (const auto& [id, identity] : identities_) all.push_back(identity);
  return all;
}

std::string Identities::Change(const std::string& client_id, const json& change) {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, Identity> next = identities_;
  Identity& identity = next[client_id];
  identity.client_id = client_id;
  if (std::string wrong = Apply(change, identity); !wrong.empty()) return wrong;
  if (!Save(next)) return "the identities cannot be written to disk";
  identities_ = std::move(next);
  return "";
}

bool Identities::Remove(const std::string& client_id) {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, Identity> next = identities_;
  if (next.erase(client_id) == 0 || !Save(next)) return false;
  identities_ = std::move(next);
  return true;
}

}  // namespace cmkstore::dev_vault
