#include "vault/identity_set.h"

#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kMinimumLeft = absl::Seconds(10);

absl::Status Failed(absl::string_view why) { return WithCause(VaultLoginFailed(why), "login"); }

}  // namespace

IdentitySet::IdentitySet(Clock& clock, IdentitySetOptions options)
    : clock_(clock), options_(options) {}

IdentitySet::~IdentitySet() {
  for (auto& [name, identity] : identities_) identity.source->Cancel();
  for (auto& [name, identity] : identities_) identity.worker->Stop();
}

void IdentitySet::Add(const std::string& name, std::unique_ptr<TokenSource> source) {
  identities_[name] = {std::move(source),
                       std::make_unique<Worker>(WorkerOptions{
                           .name = "tokens", .threads = options_.threads, .max_queued = 1024})};
}

bool IdentitySet::Usable(const Slot& slot) const {
  return slot.token.expires - kMinimumLeft > clock_.WallNow();
}

absl::StatusOr<std::string> IdentitySet::Token(const std::string& identity,
                                               const std::string& resource, absl::Time deadline) {
  const auto found = identities_.find(identity);
  if (found == identities_.end()) return Failed("no identity of that name is configured");
  const Key key(identity, resource);
  absl::MutexLock lock(&mutex_);
  Slot& slot = slots_[key];
  const absl::Time now = clock_.WallNow();
  const bool refused = now < slot.failed_until;
  if (Usable(slot)) {
    const bool due = slot.token.expires - options_.refresh_ahead <= now;
    if (due && !refused) StartFetch(found->second, key, slot);
    return slot.token.secret;
  }
  if (refused) return slot.last_error;
  StartFetch(found->second, key, slot);
  CMK_RETURN_IF_ERROR(AwaitFetch(slot, deadline));
  if (Usable(slot)) return slot.token.secret;
  return Failed("the token expired");
}

absl::StatusOr<std::string> IdentitySet::Renewed(const std::string& identity,
                                                 const std::string& resource,
                                                 const std::string& refused,
                                                 const std::string& vault, absl::Time deadline) {
  const auto found = identities_.find(identity);
  if (found == identities_.end()) return Failed("no identity of that name is configured");
  const Key key(identity, resource);
  absl::MutexLock lock(&mutex_);
  Slot& slot = slots_[key];
  const auto is_new = [&] { return Usable(slot) && slot.token.secret != refused; };
  if (is_new()) return slot.token.secret;
  if (!slot.fetching) {
    if (clock_.WallNow() < slot.failed_until) return slot.last_error;
    if (!MayRenewFor(slot, vault)) return TokenRefused();
    StartFetch(found->second, key, slot);
  }
  CMK_RETURN_IF_ERROR(AwaitFetch(slot, deadline));
  // The metadata service may give the same one again.
  return is_new() ? absl::StatusOr<std::string>(slot.token.secret) : TokenRefused();
}

absl::Status IdentitySet::AwaitFetch(Slot& slot, absl::Time deadline) {
  const auto idle = [&slot] { return !slot.fetching; };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&idle), deadline - clock_.WallNow())) {
    return Failed("no token came in time");
  }
  return slot.last_error;
}

bool IdentitySet::MayRenewFor(Slot& slot, const std::string& vault) {
  const absl::Time now = clock_.WallNow();
  std::erase_if(slot.renewed_for, [&](const auto& one) {
    return one.second + options_.renew_interval <= now;
  });
  if (slot.renewed_for.size() >= options_.max_refusing_vaults) return false;
  return slot.renewed_for.emplace(vault, now).second;
}

void IdentitySet::StartFetch(Identity& identity, const Key& key, Slot& slot) {
  if (slot.fetching) return;
  slot.fetching = identity.worker->TryRun(
      [this, &source = *identity.source, key] { Fetch(source, key); });
  if (!slot.fetching) slot.last_error = Failed("too many tokens are being fetched");
}

void IdentitySet::Fetch(TokenSource& source, const Key& key) {
  const absl::StatusOr<AccessToken> fetched =
      source.Fetch(key.second, clock_.WallNow() + options_.fetch_timeout);
  if (!fetched.ok()) {
    Log(LogLevel::kError, "vault_login_failed",
        {{"identity", key.first},
         {"resource", key.second},
         {"why", std::string(fetched.status().message())}});
  }
  absl::MutexLock lock(&mutex_);
  Slot& slot = slots_[key];
  slot.fetching = false;
  if (fetched.ok()) {
    slot.token = *fetched;
    slot.last_error = absl::OkStatus();
  } else {
    slot.last_error = WithCause(fetched.status(), "login");
    slot.failed_until = clock_.WallNow() + options_.pause_after_failure;
  }
}

}  // namespace cmkstore::vault
