#pragma once

#include <memory>

#include "tests/contract/azure_vault_under_test.h"
#include "tests/testing/dev_vault_identity.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::contract {

// The local vault under test, by the secret of its first client.
inline AzureVaultOptions LocalVaultOptions(const dev_vault::DevVaultEndpoints& local) {
  AzureVaultOptions options;
  options.url = local.url;
  options.ca_file = local.ca_file;
  options.identity = std::make_unique<vault::IdentityOptions>(testing::DevVaultIdentity(local));
  return options;
}

}  // namespace cmkstore::contract
