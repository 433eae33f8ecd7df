#pragma once

#include "vault/dev_vault/dev_vault.h"
#include "vault/token_source.h"

namespace cmkstore::testing {

// The first client of a dev vault, by its secret.
inline vault::IdentityOptions DevVaultIdentity(const dev_vault::DevVaultEndpoints& vault) {
  vault::IdentityOptions identity;
  identity.kind = vault::IdentityOptions::Kind::kClientSecret;
  identity.authority = vault.authority;
  identity.tenant_id = vault.tenant_id;
  identity.client_id = vault.client_id;
  identity.secret_file = vault.secret_file;
  return identity;
}

}  // namespace cmkstore::testing
