#include "vault/vault_meter.h"

#include <algorithm>

#include "base/errors.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kLately = absl::Minutes(2);

}  // namespace

absl::string_view ToString(TroubleSide side) {
  switch (side) {
    case TroubleSide::kNone: return "none";
    case TroubleSide::kThisVault: return "this_vault";
    case TroubleSide::kVaultService: return "vault_service";
    case TroubleSide::kOurNetwork: return "our_network";
    case TroubleSide::kOurLogin: return "our_login";
    case TroubleSide::kUnknown: return "unknown";
  }
  return "unknown";
}

void VaultMeter::Count(const KeyRef& key, Operation operation, const absl::Status& answer) {
  const VaultOutcome outcome = OutcomeOf(answer);
  const absl::Time now = clock_.WallNow();
  absl::MutexLock lock(&mutex_);
  Entry& entry = EntryFor(key.vault_uri);
  VaultUsage& usage = entry.usage;
  // Without a token nothing was sent, and nothing will be charged for.
  if (const std::string cause = CauseOf(answer); cause != "login" && cause != kNoConsent) {
    switch (operation) {
      case Operation::kDescribe: ++usage.describes; break;
      case Operation::kWrap: ++usage.wraps; break;
      case Operation::kUnwrap: ++usage.unwraps; break;
    }
    CountCalls(entry, operation == Operation::kWrap ? 2 : 1, now);  // a wrap reads the key, too
  }
  entry.last_call = now;
  entry.identity = key.identity;
  if (outcome == VaultOutcome::kDenied) ++usage.denials;
  if (outcome == VaultOutcome::kThrottled) ++usage.throttled;
  const bool failed =
      outcome == VaultOutcome::kUnreachable || outcome == VaultOutcome::kLoginFailed;
  if (failed) ++usage.failures;
  if (failed || outcome == VaultOutcome::kThrottled) {
    const std::string cause = CauseOf(answer);
    entry.cause = cause.empty() ? "unknown" : cause;
    entry.failing_since = std::min(entry.failing_since, now);
  } else {
    entry.cause.clear();
    entry.failing_since = absl::InfiniteFuture();
  }
}

void VaultMeter::CountWithoutToken(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  CountCalls(EntryFor(vault), 1, clock_.WallNow());
}

VaultMeter::Entry& VaultMeter::EntryFor(const std::string& vault) {
  if (vaults_.size() >= max_vaults_ && !vaults_.contains(vault)) MakeRoom();
  return vaults_[vault];
}

void VaultMeter::CountCalls(Entry& entry, uint64_t calls, absl::Time now) {
  const int64_t second = absl::ToUnixSeconds(now);
  if (entry.second != second) entry.in_second = 0;
  entry.second = second;
  entry.in_second += calls;
  entry.usage.since = std::min(entry.usage.since, now);
  entry.usage.busiest_second = std::max(entry.usage.busiest_second, entry.in_second);
}

void VaultMeter::MakeRoom() {
  const auto oldest = std::min_element(
      vaults_.begin(), vaults_.end(),
      [](const auto& a, const auto& b) { return a.second.last_call < b.second.last_call; });
  if (oldest != vaults_.end()) vaults_.erase(oldest);
}

VaultUsage VaultMeter::Usage(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  const auto found = vaults_.find(vault);
  return found == vaults_.end() ? VaultUsage() : found->second.usage;
}

VaultMeter::Contact VaultMeter::ContactOf(const Entry& entry) {
  if (entry.cause.empty()) return kAnswered;
  if (entry.cause == "login") return kNoToken;
  if (entry.cause == kNoConsent) return kNoConsentThere;
  if (entry.cause == kTokenRefused) return kTokenNotTaken;
  for (absl::string_view answer : {"http_5xx", "throttled", "too_large", "unknown"}) {
    if (entry.cause == answer) return kErred;
  }
  return kSilent;
}

VaultMeter::Census VaultMeter::CountLately(absl::Time now) const {
  Census census{};
  for (const auto& [name, entry] : vaults_) {
    if (now - entry.last_call <= kLately) ++census[ContactOf(entry)];
  }
  return census;
}

VaultMeter::Identities VaultMeter::TakenLately(absl::Time now) const {
  Identities taken;
  for (const auto& [name, entry] : vaults_) {
    if (now - entry.last_call <= kLately && ContactOf(entry) == kAnswered) {
      taken.insert(entry.identity);
    }
  }
  return taken;
}

TroubleSide VaultMeter::SideOf(const Entry& entry, const Census& others, const Identities& taken) {
  const Contact contact = ContactOf(entry);
  if (contact == kNoToken) return TroubleSide::kOurLogin;
  if (contact == kNoConsentThere) return TroubleSide::kThisVault;
  if (contact == kTokenNotTaken) {
    // A token that others take is good: then this one, or its directory, has changed its mind.
    return taken.contains(entry.identity) ? TroubleSide::kThisVault : TroubleSide::kOurLogin;
  }
  if (others[kAnswered] > 0) return TroubleSide::kThisVault;
  if (others[kErred] > 0) return TroubleSide::kVaultService;
  if (contact == kErred) return TroubleSide::kThisVault;
  return others[kSilent] > 0 ? TroubleSide::kOurNetwork : TroubleSide::kUnknown;
}

VaultTrouble VaultMeter::Trouble(const std::string& vault) {
  const absl::Time now = clock_.WallNow();
  VaultTrouble trouble;
  absl::MutexLock lock(&mutex_);
  const auto found = vaults_.find(vault);
  if (found == vaults_.end() || found->second.cause.empty()) return trouble;
  const Entry& entry = found->second;
  Census others = CountLately(now);
  if (now - entry.last_call <= kLately) --others[ContactOf(entry)];
  const Identities taken = TakenLately(now);
  trouble.cause = entry.cause;
  trouble.since = entry.failing_since;
  trouble.others_answering = others[kAnswered];
  trouble.others_erring = others[kErred];
  trouble.others_failing = others[kErred] + others[kSilent];
  trouble.side = SideOf(entry, others, taken);
  return trouble;
}

std::map<TroubleSide, uint32_t> VaultMeter::Troubles() {
  const absl::Time now = clock_.WallNow();
  std::map<TroubleSide, uint32_t> troubles;
  absl::MutexLock lock(&mutex_);
  const Census all = CountLately(now);
  const Identities taken = TakenLately(now);
  for (const auto& [name, entry] : vaults_) {
    if (now - entry.last_call > kLately) continue;
    if (entry.cause.empty()) {
      ++troubles[TroubleSide::kNone];
      continue;
    }
    Census others = all;
    --others[ContactOf(entry)];
    ++troubles[SideOf(entry, others, taken)];
  }
  return troubles;
}

absl::StatusOr<KeyDescription> MeteredKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  absl::StatusOr<KeyDescription> answer = vault_.Describe(key, deadline);
  meter_.Count(key, VaultMeter::Operation::kDescribe, answer.status());
  return answer;
}

absl::StatusOr<WrappedKey> MeteredKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                                 absl::Time deadline) {
  absl::StatusOr<WrappedKey> answer = vault_.Wrap(key, dek, deadline);
  meter_.Count(key, VaultMeter::Operation::kWrap, answer.status());
  return answer;
}

absl::StatusOr<crypto::SecretBytes> MeteredKeyVault::Unwrap(const KeyRef& key,
                                                            const WrappedKey& wrapped,
                                                            absl::Time deadline) {
  absl::StatusOr<crypto::SecretBytes> answer = vault_.Unwrap(key, wrapped, deadline);
  meter_.Count(key, VaultMeter::Operation::kUnwrap, answer.status());
  return answer;
}

}  // namespace cmkstore::vault
