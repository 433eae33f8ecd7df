#pragma once

#include "service/server.h"
#include "tests/testing/dev_vault_identity.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::testing {

// Has a server trust a dev vault's address and CA, and log in there by its client secret.
inline void UseDevVault(const dev_vault::DevVaultEndpoints& vault,
                        service::ServerOptions& options) {
  options.vault_ca_file = vault.ca_file;
  options.vault_addresses.allowed_hosts = {vault.url.substr(8)};
  options.identities.emplace_back("", DevVaultIdentity(vault));
}

}  // namespace cmkstore::testing
