#pragma once

#include <string>

#include "base/http_transport.h"
#include "vault/azure_answers.h"
#include "vault/identity_set.h"
#include "vault/key_vault.h"
#include "vault/vault_uri.h"

namespace cmkstore::vault {

struct AzureKeyVaultOptions {
  VaultAddressPolicy addresses;
  // Asked of the token endpoint when a vault's host is one of addresses.allowed_hosts, which is
  // under no domain.
  std::string development_resource = "https://vault.azure.net";
};

// Azure Key Vault and Managed HSM over their REST API, api-version 7.4: get, wrapkey, unwrapkey.
//
// Thread-safe. `transport` and `identities` must outlive this. A token is sent only to a host that
// the policy allows and that is under the domain of the token's resource. Errors: as KeyVault.
class AzureKeyVault final : public KeyVault {
 public:
  AzureKeyVault(AzureKeyVaultOptions options, HttpTransport& transport, IdentitySet& identities);

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  absl::StatusOr<HttpResponse> Call(const KeyRef& key, HttpRequest request, absl::Time deadline);
  absl::StatusOr<std::string> ResourceFor(absl::string_view host) const;

  const AzureKeyVaultOptions options_;
  HttpTransport& transport_;
  IdentitySet& identities_;
};

}  // namespace cmkstore::vault
