#pragma once

#include <string>

#include "vault/token_source.h"

namespace cmkstore::vault {

// OAuth 2.0 client credentials (RFC 6749 4.4) with a secret, a certificate or a federated token.
// The last two are sent as an assertion (RFC 7523).
//
// An application of several directories logs in at each that has consented to it, by the same
// proof. Errors: VAULT_LOGIN_FAILED, with the cause no_consent where another directory than its own
// does not know it.
class ClientCredentials final : public TokenSource {
 public:
  ClientCredentials(IdentityOptions options, HttpTransport& transport, Clock& clock,
                    crypto::Random& random)
      : options_(std::move(options)), transport_(transport), clock_(clock), random_(random) {}

  absl::StatusOr<AccessToken> Fetch(const TokenRequest& wanted, absl::Time deadline) override;

 private:
  // `token_url` is the endpoint that it is shown to.
  absl::StatusOr<std::string> Proof(const std::string& token_url);
  absl::StatusOr<std::string> SignedAssertion(const std::string& token_url);

  const IdentityOptions options_;
  HttpTransport& transport_;
  Clock& clock_;
  crypto::Random& random_;
};

}  // namespace cmkstore::vault
