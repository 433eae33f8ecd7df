#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "vault/call_budget.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// What a vault that was asked for a key says of its latest version: OK, or that it is withdrawn.
// Nullopt: it has said nothing of that. A get that is forbidden shows nothing either: the unwrap
// shows what is allowed.
std::optional<absl::Status> WordOn(const absl::StatusOr<KeyDescription>& described);
// The same for who needs the vault's word: OK, the withdrawal, or why there is none.
absl::Status CheckNotWithdrawn(const absl::StatusOr<KeyDescription>& described);

// Whoever disables "the key" disables its latest version, and what an older one wrapped still
// unwraps. So for a key that follows its latest version (KeyRef::version is empty) a success of
// Unwrap counts only while that version is not withdrawn: it is looked at with the first unwrap,
// once a minute from then on, and with each unwrap by another version or while it is withdrawn
// (key_lifecycle.md KL-14).
//
// Thread-safe; no lock is held during a call. A look takes a call of the vault's budget and, within
// the deadline, comes behind the unwrap; where there is no budget it waits for a later unwrap: who
// must have the vault's word asks for it (keycache/hub_opener.h). All that this is given by
// reference must outlive it. Holds a small entry for each such key that was unwrapped by lately.
//
// Errors: those of `vault`, and CUSTOMER_KEY_REVOKED when the vault says that the latest version is
// disabled, may not unwrap or is gone. Any other trouble of a look says nothing: the word before it
// stands, and the look is made again by the next probe. Where there was no word yet, a look that
// the vault leaves without an answer is the unwrap's failure: a version withdrawn before this began
// must not serve for that.
class FollowingKeyVault final : public KeyVault {
 public:
  // The latest version of `key` is this one, which is not withdrawn, and something was unwrapped by
  // another. Told once a minute for each key at most; must not block.
  using Behind = std::function<void(const KeyRef& key, const std::string& latest_version_id)>;

  FollowingKeyVault(KeyVault& vault, CallBudget& budget, Clock& clock, Behind behind)
      : vault_(vault), budget_(budget), clock_(clock), behind_(std::move(behind)) {}

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override {
    return vault_.Describe(key, deadline);
  }
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override {
    return vault_.Wrap(key, dek, deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  struct Known {
    std::string latest;  // version id; empty: not known yet
    bool heard = false;  // the vault has said whether it is withdrawn
    // The vault's last word on it; before the first, why a look has brought none.
    absl::Status refusal;
    bool looking = false;
    absl::Time next_look = absl::InfinitePast();  // monotonic
    absl::Time next_told = absl::InfinitePast();
    absl::Time last_use = absl::InfinitePast();
  };

  bool TakeLook(const std::string& name, const KeyRef& key, const WrappedKey& wrapped);
  void NoteLook(const std::string& name, const absl::StatusOr<KeyDescription>& described);
  void Prune(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  KeyVault& vault_;
  CallBudget& budget_;
  Clock& clock_;
  const Behind behind_;
  absl::Mutex mutex_;
  absl::Time next_prune_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // monotonic
  absl::flat_hash_map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::vault
