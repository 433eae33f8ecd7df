#pragma once

#include <string>

#include "vault/token_source.h"

namespace cmkstore::vault {

// OAuth 2.0 client credentials (RFC 6749 4.4) with a secret, a certificate or a federated token. The
// last two are sent as an assertion (RFC 7523).
class ClientCredentials final : public TokenSource {
 public:
  ClientCredentials(IdentityOptions options, HttpTransport& transport, Clock& clock,
                    crypto::Random& random)
      : options_(std::move(options)), transport_(transport), clock_(clock), random_(random) {}

  absl::StatusOr<AccessToken> Fetch(const std::string& resource, absl::Time deadline) override;

 private:
  absl::StatusOr<std::string> Proof();
  absl::StatusOr<std::string> SignedAssertion();

  const IdentityOptions options_;
  HttpTransport& transport_;
  Clock& clock_;
  crypto::Random& random_;
};

}  // namespace cmkstore::vault
