#pragma once

#include "service/server.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::testing {

// Has a server trust a dev vault's address and CA, and log in there by its client secret.
inline void UseDevVault(const dev_vault::DevVaultEndpoints& vault,
                        service::ServerOptions& options) {
  options.vault_ca_file = vault.ca_file;
  options.vault_addresses.allowed_hosts = {vault.url.substr(8)};
  vault::IdentityOptions identity;
  identity.kind = vault::IdentityOptions::Kind::kClientSecret;
  identity.authority = vault.authority;
  identity.tenant_id = vault.tenant_id;
  identity.client_id = vault.client_id;
  identity.secret_file = vault.secret_file;
  options.identities.emplace_back("", identity);
}

}  // namespace cmkstore::testing
