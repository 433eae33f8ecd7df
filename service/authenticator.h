#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "crypto/rsa_verify.h"
#include "service/caller.h"

namespace cmkstore::service {

struct IssuerOptions {
  std::string issuer;    // exact `iss`
  std::string audience;  // exact `aud`
  std::string jwks;      // the key set, JSON
};

// Validates bearer tokens: RS256 only, by a key of the issuer's set, with issuer, audience, times,
// `tid` and a subject. A token that was validated is remembered by its SHA-256 until it expires, at
// most 5 minutes, so that a busy caller costs one hash and one short lock.
//
// Thread-safe, never blocks. Tokens are never logged. Errors: TOKEN_INVALID, TOKEN_EXPIRED.
class Authenticator {
 public:
  // Errors: FIELD_INVALID when a key set does not parse or has no usable key.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(
      const std::vector<IssuerOptions>& issuers, Clock& clock);

  // Replaces the issuers; tokens are validated anew. Calls already admitted go on. Errors: as
  // Create, and then nothing has changed.
  absl::Status SetIssuers(const std::vector<IssuerOptions>& issuers);

  // `authorization`: the header's value, "Bearer …".
  absl::StatusOr<CallerPtr> Authenticate(absl::string_view authorization);

 private:
  struct Issuer {
    std::string issuer;
    std::string audience;
    std::map<std::string, crypto::RsaPublicKey> keys;  // by kid
  };
  struct Remembered {
    CallerPtr caller;
    absl::Time until;
  };

  using Issuers = std::shared_ptr<const std::vector<Issuer>>;

  Authenticator(Issuers issuers, Clock& clock) : clock_(clock), issuers_(std::move(issuers)) {}
  static absl::StatusOr<Issuers> Parse(const std::vector<IssuerOptions>& options);
  absl::StatusOr<CallerPtr> Validate(const Issuers& issuers, absl::string_view token) const;

  Clock& clock_;
  absl::Mutex mutex_;
  Issuers issuers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Remembered> remembered_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::service
