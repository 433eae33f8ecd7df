#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/http_transport.h"
#include "base/worker.h"
#include "service/caller.h"
#include "service/jwks_cache.h"

namespace cmkstore::service {

// Whom a token of a subject stands for, where the issuer knows neither tenants nor roles.
struct WorkloadOptions {
  std::string subject;  // exact `sub`
  std::string tenant;
  std::vector<std::string> roles;
};

struct IssuerOptions {
  // Exact `iss`. `{tid}` in it stands for the token's own `tid`:
  // "https://login.microsoftonline.com/{tid}/v2.0" trusts every directory of that issuer.
  std::string issuer;
  std::string audience;  // exact `aud`
  std::string jwks;      // the key set, JSON; or
  std::string jwks_url;  // where it is fetched from: https://…
  // If any are given, only these subjects are taken, and their `tid`, `oid` and `roles` count
  // nothing: a cluster's service accounts, whose tokens (RFC 7519) have `sub` alone.
  std::vector<WorkloadOptions> workloads = {};
};

// Validates bearer tokens: RS256 only, by a key of the issuer's set, with issuer, audience, times,
// `tid` and a subject. A token that was validated is remembered by its SHA-256 until it expires, at
// most 5 minutes, so that a busy caller costs one hash and one short lock.
//
// Thread-safe, never blocks. Tokens are never logged. Errors: TOKEN_INVALID, TOKEN_EXPIRED.
class Authenticator {
 public:
  // A URL is first fetched by the first Tick: starting depends on no issuer. `transport` and
  // `clock` must outlive this. Errors: FIELD_INVALID when a key set that was given does not parse
  // or has no usable key, and for a URL that is not https.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(
      const std::vector<IssuerOptions>& issuers, HttpTransport& transport, Clock& clock);

  // Replaces the issuers; tokens are validated anew. A URL that was there keeps the keys that came
  // from it: an issuer that is down meanwhile stops nobody. Errors: as Create, and then nothing has
  // changed.
  absl::Status SetIssuers(const std::vector<IssuerOptions>& issuers);

  // `authorization`: the header's value, "Bearer …".
  absl::StatusOr<CallerPtr> Authenticate(absl::string_view authorization);
  // Fetches key sets that are due; to be called about every 100 ms.
  void Tick();
  void Stop() { worker_.Stop(); }

 private:
  struct Issuer {
    std::string issuer;
    std::string audience;
    std::string jwks_url;  // empty: the keys were given
    std::shared_ptr<JwksCache> keys;
    std::vector<WorkloadOptions> workloads;
  };
  struct Remembered {
    CallerPtr caller;
    absl::Time until;
  };

  using Issuers = std::shared_ptr<const std::vector<Issuer>>;

  Authenticator(HttpTransport& transport, Clock& clock) : transport_(transport), clock_(clock) {}
  absl::StatusOr<Issuers> Parse(const std::vector<IssuerOptions>& options, const Issuers& before);
  absl::StatusOr<CallerPtr> Validate(const Issuers& issuers, absl::string_view token) const;

  HttpTransport& transport_;
  Clock& clock_;
  absl::Mutex mutex_;
  Issuers issuers_ ABSL_GUARDED_BY(mutex_) = std::make_shared<const std::vector<Issuer>>();
  absl::flat_hash_map<std::string, Remembered> remembered_ ABSL_GUARDED_BY(mutex_);
  Worker worker_{{.name = "jwks", .threads = 1, .max_queued = 16}};  // last: fetches key sets
};

}  // namespace cmkstore::service
