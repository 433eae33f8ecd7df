#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/worker.h"
#include "vault/token_source.h"

namespace cmkstore::vault {

struct IdentitySetOptions {
  absl::Duration refresh_ahead = absl::Minutes(5);   // or at half of what it had left, if shorter
  absl::Duration fetch_timeout = absl::Seconds(75);  // of one fetch, its retries included
  absl::Duration pause_after_failure = absl::Seconds(1);  // answered from memory meanwhile
  absl::Duration renew_interval = absl::Minutes(1);       // between new tokens because of one vault
  size_t max_refusing_vaults = 1000;                      // in one such interval, for one token
  size_t threads = 4;                                     // of each identity: its fetches at once
  size_t max_tokens = 10'000;                             // the longest unused goes first
};

// The identities of this server by name, with one cached token for each, for each directory that it
// logs in to and each resource: fetched once for all who wait, and refreshed ahead of its expiry
// while callers go on with the old one. Each identity fetches on threads of its own: one whose
// logins hang keeps no other waiting.
//
// Thread-safe; no lock is held while a token is fetched. Errors: VAULT_LOGIN_FAILED.
class IdentitySet {
 public:
  explicit IdentitySet(Clock& clock, IdentitySetOptions options = {});
  ~IdentitySet();

  // Before the first Token. The name "" is the default one.
  void Add(const std::string& name, std::unique_ptr<TokenSource> source);

  absl::StatusOr<std::string> Token(TokenRequest wanted, absl::Time deadline);
  // Another token than `refused`, to which `vault` has answered 401. If there is none yet, one is
  // fetched beside the old one, which goes on serving other vaults: a vault that refuses every
  // token must take it from nobody else. Nor may such a vault have us log in over and over: it
  // causes one new token in `renew_interval`, and after that the answer is that it refuses ours.
  absl::StatusOr<std::string> Renewed(TokenRequest wanted, const std::string& refused,
                                      const std::string& vault, absl::Time deadline);

 private:
  struct Identity {
    std::unique_ptr<TokenSource> source;
    std::unique_ptr<Worker> worker;
  };
  struct Slot {
    AccessToken token{"", absl::InfinitePast()};
    absl::Time refresh_at = absl::InfinitePast();
    bool fetching = false;
    absl::Status last_error;  // of the last fetch
    absl::Time failed_until = absl::InfinitePast();
    absl::Time last_use = absl::InfinitePast();
    std::map<std::string, absl::Time> renewed_for;  // vaults that have caused a fetch, lately
  };
  // Held by who waits for it or fetches for it, so that it may be dropped from slots_ meanwhile.
  using SlotPtr = std::shared_ptr<Slot>;

  // Null if there is no such identity. Says in `wanted` which directory the token will be of.
  Identity* Find(TokenRequest& wanted);
  SlotPtr SlotFor(const TokenRequest& wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Begins a fetch unless one is under way.
  void StartFetch(Identity& identity, const TokenRequest& wanted, const SlotPtr& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fetch(TokenSource& source, const TokenRequest& wanted, Slot& slot);
  absl::Status AwaitFetch(Slot& slot, absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayRenewFor(Slot& slot, const std::string& vault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Usable(const Slot& slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  const IdentitySetOptions options_;
  std::map<std::string, Identity> identities_;
  absl::Mutex mutex_;
  std::map<TokenRequest, SlotPtr> slots_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::vault
