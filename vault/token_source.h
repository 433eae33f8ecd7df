#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/http_transport.h"

namespace cmkstore::vault {

struct AccessToken {
  std::string secret;  // never logged
  absl::Time expires;
};

// Where the token for our calls to a vault comes from. A broken one is our trouble, never the
// tenant's.
//
// Thread-safe, blocking. Errors: VAULT_LOGIN_FAILED.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // A new token for `resource` ("https://vault.azure.net").
  virtual absl::StatusOr<AccessToken> Fetch(const std::string& resource, absl::Time deadline) = 0;
};

// One identity of this server, as configured.
struct IdentityOptions {
  enum class Kind { kClientSecret, kWorkloadIdentity, kManagedIdentity };
  Kind kind = Kind::kManagedIdentity;
  std::string authority = "https://login.microsoftonline.com";
  std::string tenant_id;
  std::string client_id;
  std::string secret_file;  // client secret
  std::string token_file;   // federated token; read again for each fetch
  std::string imds_url = "http://169.254.169.254";
};

std::unique_ptr<TokenSource> MakeTokenSource(IdentityOptions options, HttpTransport& transport,
                                             Clock& clock);

// Reads a token endpoint's or IMDS's answer. Numbers may come as JSON numbers or as strings.
absl::StatusOr<AccessToken> ParseTokenAnswer(const HttpResponse& response, absl::Time now);

}  // namespace cmkstore::vault
