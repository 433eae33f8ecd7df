#include "vault/identity_set.h"

#include "base/errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kRefreshAhead = absl::Minutes(5);
constexpr absl::Duration kMinimumLeft = absl::Seconds(10);

}  // namespace

void IdentitySet::Add(const std::string& name, std::unique_ptr<TokenSource> source) {
  sources_[name] = std::move(source);
}

absl::StatusOr<std::string> IdentitySet::Token(const std::string& identity,
                                               const std::string& resource, absl::Time deadline) {
  const auto source = sources_.find(identity);
  if (source == sources_.end()) return VaultLoginFailed("no identity of that name is configured");
  const Key key(identity, resource);
  {
    absl::MutexLock lock(&mutex_);
    Slot& slot = slots_[key];
    const absl::Time now = clock_.WallNow();
    const bool usable = slot.token.expires - kMinimumLeft > now;
    if (usable && (slot.fetching || slot.token.expires - kRefreshAhead > now)) {
      return slot.token.secret;
    }
    if (slot.fetching) {
      const auto idle = [&slot] { return !slot.fetching; };
      if (!mutex_.AwaitWithTimeout(absl::Condition(&idle), deadline - now)) {
        return VaultLoginFailed("no token came in time");
      }
      if (slot.token.expires - kMinimumLeft > clock_.WallNow()) return slot.token.secret;
      return slot.last_error;
    }
    slot.fetching = true;
  }
  absl::StatusOr<AccessToken> fetched = source->second->Fetch(resource, deadline);
  absl::MutexLock lock(&mutex_);
  Slot& slot = slots_[key];
  slot.fetching = false;
  if (fetched.ok()) {
    slot.token = *fetched;
    slot.last_error = VaultLoginFailed("the token expired");
    return slot.token.secret;
  }
  slot.last_error = fetched.status();
  if (slot.token.expires - kMinimumLeft > clock_.WallNow()) return slot.token.secret;
  return fetched.status();
}

void IdentitySet::Drop(const std::string& identity, const std::string& resource,
                       const std::string& token) {
  absl::MutexLock lock(&mutex_);
  Slot& slot = slots_[Key(identity, resource)];
  if (slot.token.secret == token) slot.token.expires = absl::InfinitePast();
}

}  // namespace cmkstore::vault
