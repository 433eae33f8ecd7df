#pragma once

#include "base/clock.h"
#include "vault/dev_vault/http_server.h"
#include "vault/dev_vault/identities.h"
#include "vault/dev_vault/token_issuer.h"

namespace cmkstore::dev_vault {

// Adds what Entra ID serves: the token endpoint for client credentials (secret, certificate,
// federated assertion), discovery and signing keys, and the discovery of the cluster that the vault
// plays. `wall` is the machine's clock. Everything given must outlive the server.
void AddTokenRoutes(HttpServer& server, const Identities& identities, const TokenIssuer& issuer,
                    const Clock& wall);

// Adds what Azure's instance metadata service serves to a virtual machine. The server speaks plain
// HTTP, as the real one does.
void AddImdsRoutes(HttpServer& server, const Identities& identities, const TokenIssuer& issuer);

}  // namespace cmkstore::dev_vault
