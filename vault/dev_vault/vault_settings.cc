#include "vault/dev_vault/vault_settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/ids.h"
#include "vault/dev_vault/key_record.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

const std::set<std::string> kFields = {
    "kind",   "recovery_level",         "denial_code",   "firewall", "access",
    "denied", "unknown_version_status", "limit_per_10s", "directory"};

bool Contains(const std::set<std::string>& permissions, const std::string& wanted) {
  return std::any_of(permissions.begin(), permissions.end(), [&](const std::string& one) {
    return one == "all" || absl::EqualsIgnoreCase(one, wanted);
  });
}

std::optional<uint32_t> Ipv4(const std::string& text) {
  in_addr address;
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

struct Network {
  uint32_t address = 0;
  int bits = 32;
};

std::optional<Network> ParseNetwork(const std::string& rule) {
  const std::vector<std::string> parts = absl::StrSplit(rule, '/');
  Network network;
  const std::optional<uint32_t> address = Ipv4(parts[0]);
  if (!address.has_value() || parts.size() > 2) return std::nullopt;
  network.address = *address;
  if (parts.size() == 2 &&
      (!absl::SimpleAtoi(parts[1], &network.bits) || network.bits < 0 || network.bits > 32)) {
    return std::nullopt;
  }
  return network;
}

bool IsRule(const std::string& rule) {
  in6_addr address;
  return ParseNetwork(rule).has_value() || inet_pton(AF_INET6, rule.c_str(), &address) == 1;
}

bool Covers(const std::string& rule, const std::string& peer) {
  const std::optional<Network> network = ParseNetwork(rule);
  const std::optional<uint32_t> address = Ipv4(peer);
  if (!network.has_value() || !address.has_value()) return rule == peer;
  const uint32_t mask = network->bits == 0 ? 0 : ~uint32_t{0} << (32 - network->bits);
  return (network->address & mask) == (*address & mask);
}

std::string Whom(const Caller& caller) {
  return absl::StrCat("appid=", caller.client_id, ";oid=", caller.object_id,
                      ";iss=", caller.issuer);
}

std::string ActionOf(const std::string& permission) {
  const absl::string_view verb = permission == "get" || permission == "list" ? "read"
                                 : permission == "wrapKey"                   ? "wrap/action"
                                 : permission == "unwrapKey"                 ? "unwrap/action"
                                                                             : permission;
  return absl::StrCat("Microsoft.KeyVault/vaults/keys/", verb);
}

Answer Denied(const VaultSettings& settings, const std::string& vault, const Caller& caller,
              const std::string& permission) {
  if (settings.denial_code == "ForbiddenByRbac") {
    return Forbidden(
        absl::StrCat("Caller is not authorized to perform action on resource.\r\nIf role "
                     "assignments, deny assignments or role definitions were changed recently, "
                     "please observe propagation time.\r\nCaller: ",
                     Whom(caller), "\r\nAction: '", ActionOf(permission),
                     "'\r\nAssignment: (not found)\r\nVault: ", vault, ";location=local"),
        settings.denial_code);
  }
  return Forbidden(
      absl::StrCat("The user, group or application '", Whom(caller), "' does not have keys ",
                   permission, " permission on key vault '", vault, ";location=local'."),
      settings.denial_code);
}

std::string Check(const VaultSettings& settings) {
  const auto is_one_of = [](const std::string& word, std::initializer_list<const char*> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (!is_one_of(settings.kind, {"vault", "managed_hsm"})) return "kind is vault or managed_hsm";
  if (!settings.directory.empty() && !IsGuid(settings.directory)) return "directory is a GUID";
  if (!IsRecoveryLevel(settings.recovery_level)) return "recovery_level is none of the seven";
  if (!is_one_of(settings.denial_code, {"ForbiddenByPolicy", "AccessDenied", "ForbiddenByRbac"})) {
    return "denial_code is ForbiddenByPolicy, AccessDenied or ForbiddenByRbac";
  }
  if (settings.unknown_version_status != 404 && settings.unknown_version_status != 400) {
    return "unknown_version_status is 404 or 400";
  }
  if (!is_one_of(settings.firewall.code, {"ForbiddenByFirewall", "ForbiddenByConnection"})) {
    return "firewall.code is ForbiddenByFirewall or ForbiddenByConnection";
  }
  for (const std::string& rule : settings.firewall.ip_rules) {
    if (!IsRule(rule)) return absl::StrCat("firewall.ip_rules: \"", rule, "\" is no address");
  }
  return settings.limit_per_10s < 0 ? "limit_per_10s must not be negative" : "";
}

}  // namespace

json ToJson(const VaultSettings& settings) {
  return {{"kind", settings.kind},
          {"directory", settings.directory},
          {"recovery_level", settings.recovery_level},
          {"denial_code", settings.denial_code},
          {"unknown_version_status", settings.unknown_version_status},
          {"firewall",
           {{"default_action", settings.firewall.denies ? "deny" : "allow"},
            {"ip_rules", settings.firewall.ip_rules},
            {"code", settings.firewall.code}}},
          {"access", settings.access},
          {"denied", settings.denied},
          {"limit_per_10s", settings.limit_per_10s}};
}

std::string ApplyChange(const json& change, VaultSettings& settings) {
  for (const auto& [field, value] : change.items()) {
    if (!kFields.contains(field)) return absl::StrCat("unknown field \"", field, "\"");
  }
  VaultSettings next = settings;
  next.kind = change.value("kind", next.kind);
  next.directory = absl::AsciiStrToLower(change.value("directory", next.directory));
  next.recovery_level = change.value("recovery_level", next.recovery_level);
  next.denial_code = change.value("denial_code", next.denial_code);
  next.unknown_version_status = change.value("unknown_version_status", next.unknown_version_status);
  next.limit_per_10s = change.value("limit_per_10s", next.limit_per_10s);
  next.denied = change.value("denied", next.denied);
  if (change.contains("firewall")) {
    const json& firewall = change["firewall"];
    const std::string action =
        firewall.value("default_action", next.firewall.denies ? "deny" : "allow");
    if (action != "deny" && action != "allow") return "firewall.default_action is allow or deny";
    next.firewall.denies = action == "deny";
    next.firewall.ip_rules = firewall.value("ip_rules", next.firewall.ip_rules);
    next.firewall.code = firewall.value("code", next.firewall.code);
  }
  // Client by client, so that a grant to one does not take another's away; null removes the entry.
  const json access = change.value("access", json::object());
  for (const auto& [client, permissions] : access.items()) {
    if (permissions.is_null()) {
      next.access.erase(client);
    } else {
      next.access[client] = permissions.get<std::set<std::string>>();
    }
  }
  if (std::string wrong = Check(next); !wrong.empty()) return wrong;
  settings = std::move(next);
  return "";
}

Answer Authorize(const VaultSettings& settings, const std::string& vault, const Caller& caller,
                 const std::string& peer, const std::string& permission) {
  const auto& rules = settings.firewall.ip_rules;
  const bool let_in = std::any_of(rules.begin(), rules.end(),
                                  [&peer](const std::string& rule) { return Covers(rule, peer); });
  if (settings.firewall.denies && !let_in) {
    const bool by_address = settings.firewall.code == "ForbiddenByFirewall";
    return Forbidden(
        absl::StrCat(by_address
                         ? "Client address is not authorized and caller is not a trusted service."
                           "\r\nClient address: " +
                               peer
                         : "Public network access is disabled and request is not from a trusted "
                           "service nor via an approved private link.",
                     "\r\nCaller: ", Whom(caller), "\r\nVault: ", vault, ";location=local"),
        settings.firewall.code);
  }
  const auto entry = settings.access.find(caller.client_id);
  const bool granted =
      entry == settings.access.end() ? caller.is_first : Contains(entry->second, permission);
  if (!granted || Contains(settings.denied, permission)) {
    return Denied(settings, vault, caller, permission);
  }
  return {};
}

}  // namespace cmkstore::dev_vault
