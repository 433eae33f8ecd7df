#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/http_transport.h"
#include "crypto/random.h"

namespace cmkstore::vault {

struct AccessToken {
  std::string secret;  // never logged
  absl::Time expires;
};

// What a token is for.
struct TokenRequest {
  std::string identity;   // by the name that it has in the configuration
  std::string directory;  // of which: a GUID in lower case; empty = the identity's own
  std::string resource;   // "https://vault.azure.net"

  friend auto operator<=>(const TokenRequest&, const TokenRequest&) = default;
};

// Where the token for our calls to a vault comes from. A broken one is our trouble, never the
// tenant's.
//
// Thread-safe, blocking. Errors: VAULT_LOGIN_FAILED.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual absl::StatusOr<AccessToken> Fetch(const TokenRequest& request, absl::Time deadline) = 0;
  // It has tokens of its own directory only, whichever is asked for.
  virtual bool HasOneDirectory() const { return false; }
  // Ends a Fetch that waits for its next attempt, now and later.
  virtual void Cancel() {}
};

// One identity of this server, as configured. Files are read again for each token, so that they may
// be replaced under a running server.
struct IdentityOptions {
  enum class Kind { kClientSecret, kClientCertificate, kWorkloadIdentity, kManagedIdentity };
  Kind kind = Kind::kManagedIdentity;
  // Token endpoint's base. From configuration only: an assertion sent to a host that a vault's
  // challenge names would be a gift to it.
  std::string authority = "https://login.microsoftonline.com";
  std::string tenant_id;         // the identity's own directory: a GUID or a domain
  std::string client_id;         // of a managed identity: empty = the system-assigned one
  std::string secret_file;       // client secret
  std::string certificate_file;  // client certificate: PEM, certificate and key in one file
  std::string token_file;        // workload identity: the federated token
  std::string imds_url = "http://169.254.169.254";
};

// Errors: FIELD_INVALID naming each option that the identity lacks or that cannot be what it is.
absl::Status CheckIdentity(const IdentityOptions& options);
// The same, of what is given only: the rest may come from the pod.
absl::Status CheckGivenOfIdentity(const IdentityOptions& options);

// Fills what a workload identity lacks from AZURE_TENANT_ID, AZURE_CLIENT_ID,
// AZURE_FEDERATED_TOKEN_FILE and AZURE_AUTHORITY_HOST, as its webhook sets them in a pod.
IdentityOptions WithPodEnvironment(
    IdentityOptions options,
    const std::function<std::optional<std::string>(const char*)>& environment);

// `options` have passed CheckIdentity. All that it is given by reference must outlive the source.
std::unique_ptr<TokenSource> MakeTokenSource(IdentityOptions options, HttpTransport& transport,
                                             Clock& clock, crypto::Random& random);

// Reads a token endpoint's or IMDS's answer. Numbers may come as JSON numbers or as strings.
absl::StatusOr<AccessToken> ParseTokenAnswer(const HttpResponse& response, absl::Time now);

}  // namespace cmkstore::vault
