#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/worker.h"
#include "vault/token_source.h"

namespace cmkstore::vault {

struct IdentitySetOptions {
  absl::Duration refresh_ahead = absl::Minutes(5);
  absl::Duration fetch_timeout = absl::Seconds(75);     // of one fetch, its retries included
  absl::Duration pause_after_failure = absl::Seconds(1);  // answered from memory meanwhile
  size_t threads = 4;                                   // fetches under way at once
};

// The identities of this server by name, with one cached token for each and each resource: fetched
// once for all who wait, on threads of its own, and refreshed ahead of its expiry while callers go
// on with the old one.
//
// Thread-safe; no lock is held while a token is fetched. Errors: VAULT_LOGIN_FAILED.
class IdentitySet {
 public:
  explicit IdentitySet(Clock& clock, IdentitySetOptions options = {});
  ~IdentitySet();

  // Before the first Token. The name "" is the default one.
  void Add(const std::string& name, std::unique_ptr<TokenSource> source);

  absl::StatusOr<std::string> Token(const std::string& identity, const std::string& resource,
                                    absl::Time deadline);
  // After a 401: drops the cached token if it still is `token`.
  void Drop(const std::string& identity, const std::string& resource, const std::string& token);

 private:
  struct Slot {
    AccessToken token{"", absl::InfinitePast()};
    bool fetching = false;
    absl::Status last_error;
    absl::Time failed_until = absl::InfinitePast();
  };
  using Key = std::pair<std::string, std::string>;

  // Begins a fetch unless one is under way.
  void StartFetch(TokenSource& source, const Key& key, Slot& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fetch(TokenSource& source, const Key& key);
  bool Usable(const Slot& slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  const IdentitySetOptions options_;
  std::map<std::string, std::unique_ptr<TokenSource>> sources_;
  absl::Mutex mutex_;
  std::map<Key, Slot> slots_ ABSL_GUARDED_BY(mutex_);
  Worker worker_;  // last: its threads use all of the above
};

}  // namespace cmkstore::vault
