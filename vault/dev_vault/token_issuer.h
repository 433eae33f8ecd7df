#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "crypto/rsa_key.h"
#include "vault/dev_vault/identities.h"
#include "vault/dev_vault/settable_clock.h"
#include "vault/dev_vault/vault_settings.h"

namespace cmkstore::dev_vault {

// The token service of all directories that the program plays: mints access tokens, each of one
// directory, by which a vault tells whether it takes it. Tokens are RS256; time is the settable
// clock's. Thread-safe.
class TokenIssuer {
 public:
  // `authority`: https://host:port. `tenant_id`: the program's own directory. The key also signs
  // the federated tokens of the cluster that the vault plays beside its directories: as another
  // issuer, under another key id.
  TokenIssuer(std::string authority, std::string tenant_id, crypto::RsaPrivateKey signing_key,
              SettableClock& clock);

  const std::string& authority() const { return authority_; }
  const std::string& tenant_id() const { return tenant_id_; }
  std::string IssuerOf(const std::string& directory) const;  // of access tokens
  std::string cluster_issuer() const;                        // of federated tokens

  struct Token {
    std::string text;
    int64_t lifetime_s = 0;
    int64_t expires_unix = 0;
  };
  Token Mint(const Identity& identity, const std::string& audience,
             const std::string& directory) const;
  // A service account's token, as a Kubernetes cluster would project it into a file.
  std::string MintFederated(const std::string& subject, const std::string& audience,
                            int64_t now_unix, int64_t lifetime_s) const;

  // Signature, issuer and tenant (both of `directory`), audience and dates. Errors: TOKEN_INVALID,
  // whose message is fit for the caller.
  absl::StatusOr<Caller> Verify(const std::string& token, const std::string& audience,
                                const std::string& directory) const;

  std::string Jwks() const;
  std::string ClusterJwks() const;
  std::string OpenIdConfiguration() const;
  std::string ClusterConfiguration() const;

  void SetLifetime(int64_t seconds);
  // From now on no token is good that was minted until now.
  void RevokeAll();

 private:
  const std::string authority_;
  const std::string tenant_id_;
  const crypto::RsaPrivateKey signing_key_;

  SettableClock& clock_;
  mutable absl::Mutex mutex_;
  int64_t lifetime_s_ ABSL_GUARDED_BY(mutex_) = 3600;
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Whether `jwt`, taken apart, is signed with RS256 by a key of a JSON Web Key Set.
bool IsSignedByKeyOf(const std::string& jwks, const std::string& jwt);

}  // namespace cmkstore::dev_vault
