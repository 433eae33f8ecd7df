#include "vault/identity_set.h"

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "vault/login_refusal.h"
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

IdentitySet::Identity* IdentitySet::Find(TokenRequest& wanted) {
  const auto found = identities_.find(wanted.identity);
  if (found == identities_.end()) return nullptr;
  if (found->second.source->HasOneDirectory()) wanted.directory.clear();
  return &found->second;
}

IdentitySet::SlotPtr IdentitySet::SlotFor(const TokenRequest& wanted) {
  SlotPtr& slot = slots_[wanted];
  if (slot == nullptr) slot = std::make_shared<Slot>();
  slot->last_use = clock_.WallNow();
  const SlotPtr found = slot;
  if (slots_.size() > options_.max_tokens) {
    slots_.erase(std::min_element(slots_.begin(), slots_.end(), [&](const auto& a, const auto& b) {
      return a.second != found && (b.second == found || a.second->last_use < b.second->last_use);
    }));
  }
  return found;
}

absl::StatusOr<std::string> IdentitySet::Token(TokenRequest wanted, absl::Time deadline) {
  Identity* const identity = Find(wanted);
  if (identity == nullptr) return Failed("no identity of that name is configured");
  absl::MutexLock lock(&mutex_);
  const SlotPtr slot = SlotFor(wanted);
  const absl::Time now = clock_.WallNow();
  const bool failed = now < slot->failed_until;
  if (Usable(*slot)) {
    if (slot->refresh_at <= now && !failed) StartFetch(*identity, wanted, slot);
    return slot->token.secret;
  }
  if (failed) return slot->last_error;
  StartFetch(*identity, wanted, slot);
  CMK_RETURN_IF_ERROR(AwaitFetch(*slot, deadline));
  if (Usable(*slot)) return slot->token.secret;
  return Failed("the token expired");
}

absl::StatusOr<std::string> IdentitySet::Renewed(TokenRequest wanted, const std::string& refused,
                                                 const std::string& vault, absl::Time deadline) {
  Identity* const identity = Find(wanted);
  if (identity == nullptr) return Failed("no identity of that name is configured");
  absl::MutexLock lock(&mutex_);
  const SlotPtr slot = SlotFor(wanted);
  const auto is_new = [&] { return Usable(*slot) && slot->token.secret != refused; };
  if (is_new()) return slot->token.secret;
  if (!slot->fetching) {
    if (clock_.WallNow() < slot->failed_until) return slot->last_error;
    if (!MayRenewFor(*slot, vault)) return TokenRefused();
    StartFetch(*identity, wanted, slot);
  }
  CMK_RETURN_IF_ERROR(AwaitFetch(*slot, deadline));
  // The metadata service may give the same one again.
  return is_new() ? absl::StatusOr<std::string>(slot->token.secret) : TokenRefused();
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
  std::erase_if(slot.renewed_for,
                [&](const auto& one) { return one.second + options_.renew_interval <= now; });
  if (slot.renewed_for.size() >= options_.max_refusing_vaults) return false;
  return slot.renewed_for.emplace(vault, now).second;
}

void IdentitySet::StartFetch(Identity& identity, const TokenRequest& wanted, const SlotPtr& slot) {
  if (slot->fetching) return;
  slot->fetching = identity.worker->TryRun(
      [this, &source = *identity.source, wanted, slot] { Fetch(source, wanted, *slot); });
  if (!slot->fetching) slot->last_error = Failed("too many tokens are being fetched");
}

void IdentitySet::Fetch(TokenSource& source, const TokenRequest& wanted, Slot& slot) {
  absl::StatusOr<AccessToken> fetched =
      source.Fetch(wanted, clock_.WallNow() + options_.fetch_timeout);
  const bool is_ours = CauseOf(fetched.status()) != kNoConsent;
  if (!fetched.ok()) {
    Log(is_ours ? LogLevel::kError : LogLevel::kWarning,
        is_ours ? "vault_login_failed" : "vault_login_without_consent",
        {{"identity", wanted.identity},
         {"directory", wanted.directory},
         {"resource", wanted.resource},
         {"why", std::string(fetched.status().message())},
         {"answer", RefusalOf(fetched.status())}});
  }
  absl::MutexLock lock(&mutex_);
  slot.fetching = false;
  if (fetched.ok()) {
    slot.token = *std::move(fetched);
    // The metadata service gives out what it has, however little time that has left.
    const absl::Duration left = slot.token.expires - clock_.WallNow();
    slot.refresh_at = slot.token.expires - std::min(options_.refresh_ahead, left / 2);
    slot.last_error = absl::OkStatus();
  } else {
    slot.last_error = is_ours ? WithCause(fetched.status(), "login") : fetched.status();
    slot.failed_until = clock_.WallNow() + options_.pause_after_failure;
    slot.renewed_for.clear();  // whoever asked for it got nothing
  }
}

}  // namespace cmkstore::vault
