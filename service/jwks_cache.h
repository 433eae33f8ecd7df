#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/worker.h"
#include "crypto/rsa_verify.h"

namespace cmkstore::service {

struct JwksOptions {
  absl::Duration refetch_every = absl::Hours(1);
  // After a failure, and after the last fetch when a token names a key that is not known: whoever
  // sends made-up key ids cannot make us ask more often.
  absl::Duration refetch_at_least = absl::Seconds(10);
};

// Longest key set that is looked at, and most keys that are kept of one.
inline constexpr size_t kMaxJwksBytes = 256u << 10;
inline constexpr size_t kMaxJwksKeys = 100;

struct SigningKey {
  crypto::RsaPublicKey key;
  // Whose tokens it signs, where the set says so; with `{tenantid}` for the `tid` of a token. Not
  // of RFC 7517: Entra has keys for all directories and keys for one beside each other in one set.
  std::string issuer;
};
using SigningKeys = std::map<std::string, SigningKey>;  // by kid

// The RSA signing keys of a JSON Web Key Set (RFC 7517). Keys without a kid, for another use or
// another algorithm are left out, and so are those whose `issuer` is no text. Errors: FIELD_INVALID
// naming jwks when it is too large or holds no such key.
absl::StatusOr<SigningKeys> ParseJwks(absl::string_view text);

// The signing keys of one issuer, fetched anew now and then, and when a token names one that is
// not known. A set that cannot be fetched or does not parse leaves the last good one in use: an
// issuer that is down stops nobody whose token it has signed.
//
// Thread-safe; held by shared_ptr, which a fetch under way holds too. Find and Tick never block;
// `fetch` runs on `worker`, which must outlive this, as must `clock`.
class JwksCache : public std::enable_shared_from_this<JwksCache> {
 public:
  using Fetch = std::function<absl::StatusOr<std::string>()>;

  JwksCache(JwksOptions options, Fetch fetch, Worker& worker, Clock& clock)
      : options_(options), fetch_(std::move(fetch)), worker_(worker), clock_(clock) {}

  // Fetches on the calling thread. Errors: those of `fetch` and of ParseJwks; the last set stays.
  absl::Status Load();
  // Absent: not known; if it is time for it, a fetch has begun that may make it known.
  std::optional<SigningKey> Find(const std::string& kid);
  // Fetches when it is due; to be called about every 100 ms.
  void Tick();

 private:
  void FetchIfOlderThan(absl::Duration age);

  const JwksOptions options_;
  const Fetch fetch_;
  Worker& worker_;
  Clock& clock_;
  absl::Mutex mutex_;
  std::shared_ptr<const SigningKeys> keys_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<SigningKeys>();
  absl::Time last_try_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time last_success_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool fetching_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cmkstore::service
