#pragma once

#include <string>

#include "base/clock.h"
#include "base/http_transport.h"
#include "crypto/random.h"
#include "vault/azure_answers.h"
#include "vault/identity_set.h"
#include "vault/key_vault.h"
#include "vault/vault_http.h"
#include "vault/vault_uri.h"

namespace cmkstore::vault {

// Azure Key Vault and Managed HSM over their REST API, api-version 7.4: get, wrapkey, unwrapkey.
//
// Thread-safe. All that it is given by reference must outlive this. A token is sent only to a host
// that the policy allows, and is of the resource of that host's domain. Neither token nor body is
// ever logged. Errors: as KeyVault.
class AzureKeyVault final : public KeyVault {
 public:
  AzureKeyVault(VaultAddressPolicy addresses, HttpTransport& transport, IdentitySet& identities,
                Clock& clock, crypto::Random& random);

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  struct Question {
    VaultOperation operation;
    std::string path;  // "/keys/NAME/VERSION/unwrapkey"
    std::string body;  // JSON; empty for a GET
  };
  absl::StatusOr<HttpResponse> Call(const KeyRef& key, const Question& question,
                                    absl::Time deadline);
  absl::StatusOr<HttpResponse> Send(const KeyRef& key, const Question& question,
                                    const std::string& token, absl::Time deadline);
  absl::Status LookAgain(KeyRef key, const HttpResponse& not_found, absl::Time deadline);

  const VaultAddressPolicy addresses_;
  VaultHttp http_;
  IdentitySet& identities_;
};

}  // namespace cmkstore::vault
