#pragma once

#include "vault/dev_vault/http_server.h"
#include "vault/dev_vault/local_vaults.h"
#include "vault/dev_vault/token_issuer.h"

namespace cmkstore::dev_vault {

// Adds the REST calls of Azure Key Vault on keys. Each passes, in this order: the bearer token
// (401), api-version (400), the vault's firewall and the caller's permission (403), its limit of
// calls (429); then the key itself answers. `first_client` has every permission that its vault does
// not deny it. Everything given must outlive the server.
void AddKeyRoutes(HttpServer& server, LocalVaults& vaults, const TokenIssuer& issuer,
                  const std::string& first_client);

}  // namespace cmkstore::dev_vault
