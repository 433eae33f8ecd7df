#pragma once

#include <string>

#include "base/clock.h"
#include "vault/dev_vault/call_log.h"
#include "vault/dev_vault/fault_script.h"
#include "vault/dev_vault/http_server.h"
#include "vault/dev_vault/identities.h"
#include "vault/dev_vault/local_vaults.h"
#include "vault/dev_vault/settable_clock.h"
#include "vault/dev_vault/token_issuer.h"

namespace cmkstore::dev_vault {

// What the admin API steers. Everything must outlive the server.
struct AdminTargets {
  FaultScript& faults;
  CallLog& log;
  SettableClock& clock;
  const Clock& wall;
  LocalVaults& vaults;
  Identities& identities;
  TokenIssuer& issuer;
};

// Adds /_dev/…: faults, clock, vaults, identities, tokens, statistics. docs/devvault.md is its
// manual. Every call needs `admin_token` as a bearer token.
void AddAdminRoutes(HttpServer& server, const std::string& admin_token, AdminTargets targets);

}  // namespace cmkstore::dev_vault
