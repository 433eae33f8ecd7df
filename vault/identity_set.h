#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "vault/token_source.h"

namespace cmkstore::vault {

// The identities of this server by name, with one cached token for each and each resource:
// refreshed ahead of its expiry by one caller while the others go on with the old one.
//
// Thread-safe; no lock is held while a token is fetched. Errors: VAULT_LOGIN_FAILED.
class IdentitySet {
 public:
  explicit IdentitySet(Clock& clock) : clock_(clock) {}

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
  };
  using Key = std::pair<std::string, std::string>;

  Clock& clock_;
  std::map<std::string, std::unique_ptr<TokenSource>> sources_;
  absl::Mutex mutex_;
  std::map<Key, Slot> slots_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::vault
