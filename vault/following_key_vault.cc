#include "vault/following_key_vault.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kLookEvery = absl::Minutes(1);
// Behind a look that came to nothing: the next probe is later.
constexpr absl::Duration kLookAgain = absl::Seconds(10);
// Where a start asks for very many keys at once, their first looks wait for their first probes.
constexpr absl::Duration kFirstProbe = absl::Seconds(20);
constexpr size_t kPruneAbove = 4096;
constexpr absl::Duration kIdle = absl::Minutes(10);

std::string NameOf(const KeyRef& key) {
  return absl::StrCat(key.vault_uri, " ", key.key_name, " as ", key.identity, " of ",
                      key.directory);
}

}  // namespace

std::optional<absl::Status> WordOn(const absl::StatusOr<KeyDescription>& described) {
  if (!described.ok()) {
    const std::string cause = CauseOf(described.status());
    const bool withdrawn = OutcomeOf(described.status()) == VaultOutcome::kDenied &&
                           (cause == "KeyNotFound" || cause == "KeyDisabled");
    return withdrawn ? std::optional(described.status()) : std::nullopt;
  }
  if (!described->enabled) {
    return WithCause(CustomerKeyRevoked("the key's latest version is disabled (KeyDisabled)"),
                     "KeyDisabled");
  }
  const auto& operations = described->operations;
  if (!operations.empty() &&
      std::find(operations.begin(), operations.end(), "unwrapkey") == operations.end()) {
    return WithCause(
        CustomerKeyRevoked("the permitted operations of the key's latest version lack unwrapKey "
                           "(KeyOperationForbidden)"),
        "KeyOperationForbidden");
  }
  return absl::OkStatus();
}

absl::Status CheckNotWithdrawn(const absl::StatusOr<KeyDescription>& described) {
  return WordOn(described).value_or(described.status());
}

absl::StatusOr<crypto::SecretBytes> FollowingKeyVault::Unwrap(const KeyRef& key,
                                                              const WrappedKey& wrapped,
                                                              absl::Time deadline) {
  absl::StatusOr<crypto::SecretBytes> secret = vault_.Unwrap(key, wrapped, deadline);
  if (!secret.ok() || !key.version.empty()) return secret;
  const std::string name = NameOf(key);
  if (TakeLook(name, key, wrapped)) NoteLook(name, vault_.Describe(key, deadline));
  std::string behind;
  {
    absl::MutexLock lock(&mutex_);
    Known& known = known_[name];
    CMK_RETURN_IF_ERROR(known.refusal);
    const absl::Time now = clock_.MonotonicNow();
    if (!known.latest.empty() && now >= known.next_told &&
        !absl::EqualsIgnoreCase(known.latest, wrapped.version_id)) {
      known.next_told = now + kLookEvery;
      behind = known.latest;
    }
  }
  if (!behind.empty()) behind_(key, behind);
  return secret;
}

bool FollowingKeyVault::TakeLook(const std::string& name, const KeyRef& key,
                                 const WrappedKey& wrapped) {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = clock_.MonotonicNow();
  if (known_.size() > kPruneAbove && now >= next_prune_) Prune(now);
  const auto [found, fresh] = known_.try_emplace(name);
  Known& known = found->second;
  known.last_use = now;
  // Each time: what is withdrawn, for by that alone it is seen to be given back, and for whom
  // another version unwraps, who would else not hear of a withdrawal that those under the latest
  // one have met.
  const bool behind =
      !known.latest.empty() && !absl::EqualsIgnoreCase(known.latest, wrapped.version_id);
  // And until there is a word at all: who waited for another's first look would go without.
  const bool unheard = !known.heard && (known.looking || !known.refusal.ok());
  if (!behind && !unheard && (known.looking || (known.refusal.ok() && now < known.next_look))) {
    return false;
  }
  const double rate = CallsPerSecond(wrapped.algorithm, wrapped.ciphertext.size());
  if (fresh ? !budget_.TryTake(key.vault_uri, rate)
            : !budget_.TryTakeOnCredit(key.vault_uri, rate)) {
    if (fresh) known.next_look = now + kFirstProbe;
    return false;
  }
  known.next_look = now + kLookEvery;
  known.looking = true;
  return true;
}

void FollowingKeyVault::NoteLook(const std::string& name,
                                 const absl::StatusOr<KeyDescription>& described) {
  const std::optional<absl::Status> word = WordOn(described);
  absl::MutexLock lock(&mutex_);
  Known& known = known_[name];
  known.looking = false;
  if (!word.has_value()) {
    known.next_look = clock_.MonotonicNow() + kLookAgain;
    if (known.heard) return;
    const bool forbidden = OutcomeOf(described.status()) == VaultOutcome::kDenied;
    known.refusal = forbidden ? absl::OkStatus() : described.status();
    return;
  }
  known.heard = true;
  known.refusal = *word;
  if (described.ok()) known.latest = described->version_id;
}

void FollowingKeyVault::Prune(absl::Time now) {
  next_prune_ = now + kLookEvery;  // where all are in use it frees none
  for (auto known = known_.begin(); known != known_.end();) {
    if (now - known->second.last_use > kIdle && !known->second.looking) {
      known_.erase(known++);
    } else {
      ++known;
    }
  }
}

}  // namespace cmkstore::vault
