#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "vault/dev_vault/answer.h"

namespace cmkstore::dev_vault {

// How one vault is set up: what an Azure administrator would choose in the portal, and the few
// things that a test wants to choose beside it. docs/devvault.md explains each field.
struct VaultSettings {
  std::string kind = "vault";  // or "managed_hsm"
  std::string directory;       // whose tokens it takes; empty: the program's own
  std::string recovery_level = "Recoverable";
  // Inner code of a 403 for want of a permission: ForbiddenByPolicy, AccessDenied, ForbiddenByRbac.
  std::string denial_code = "ForbiddenByPolicy";
  int unknown_version_status = 404;  // or 400
  struct Firewall {
    bool denies = false;                       // callers that no rule lets in
    std::vector<std::string> ip_rules;         // "a.b.c.d" or "a.b.c.d/bits"; IPv6 by whole address
    std::string code = "ForbiddenByFirewall";  // or ForbiddenByConnection
  } firewall;
  // Client id → permissions; "all" is all of them. A client without an entry has none, but the
  // first identity of the program has all.
  std::map<std::string, std::set<std::string>> access;
  std::set<std::string> denied;  // permissions that nobody has
  int limit_per_10s = 0;         // key operations before 429; 0: no limit

  bool is_managed_hsm() const { return kind == "managed_hsm"; }
};

nlohmann::json ToJson(const VaultSettings& settings);
// Changes the fields that `change` names. Says what is wrong, or nothing; a wrong change changes
// nothing. Throws what nlohmann::json throws.
std::string ApplyChange(const nlohmann::json& change, VaultSettings& settings);

// Whom a call comes from.
struct Caller {
  std::string client_id;
  std::string object_id;
  std::string issuer;
  bool is_first = false;  // the program's own first identity
};

// Whether firewall, permissions and policies let the call pass: an answer of status 200 if so, else
// the 403 that Azure gives. `vault` is the vault's name for the message.
Answer Authorize(const VaultSettings& settings, const std::string& vault, const Caller& caller,
                 const std::string& peer, const std::string& permission);

}  // namespace cmkstore::dev_vault
