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
    case TroubleSide::kOurNetwork: return "our_network";
    case TroubleSide::kOurLogin: return "our_login";
    case TroubleSide::kUnknown: return "unknown";
  }
  return "unknown";
}

void VaultMeter::Count(const std::string& vault, Operation operation, const absl::Status& answer) {
  const VaultOutcome outcome = OutcomeOf(answer);
  const absl::Time now = clock_.WallNow();
  absl::MutexLock lock(&mutex_);
  if (vaults_.size() >= max_vaults_ && !vaults_.contains(vault)) MakeRoom();
  Entry& entry = vaults_[vault];
  VaultUsage& usage = entry.usage;
  usage.since = std::min(usage.since, now);
  switch (operation) {
    case Operation::kDescribe: ++usage.describes; break;
    case Operation::kWrap: ++usage.wraps; break;
    case Operation::kUnwrap: ++usage.unwraps; break;
  }
  const int64_t second = absl::ToUnixSeconds(now);
  if (entry.second != second) entry.in_second = 0;
  entry.second = second;
  usage.busiest_second = std::max(usage.busiest_second, ++entry.in_second);
  entry.last_call = now;
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

VaultTrouble VaultMeter::Trouble(const std::string& vault) {
  const absl::Time now = clock_.WallNow();
  VaultTrouble trouble;
  absl::MutexLock lock(&mutex_);
  const auto found = vaults_.find(vault);
  if (found == vaults_.end() || found->second.cause.empty()) return trouble;
  trouble.cause = found->second.cause;
  trouble.since = found->second.failing_since;
  for (const auto& [name, entry] : vaults_) {
    if (name == vault || now - entry.last_call > kLately) continue;
    // A vault that throttles is one that is reached.
    const bool answers = entry.cause.empty() || entry.cause == "throttled";
    ++(answers ? trouble.others_answering : trouble.others_failing);
  }
  if (trouble.cause == "login") {
    trouble.side = TroubleSide::kOurLogin;
  } else if (trouble.others_answering > 0 || trouble.cause == "throttled") {
    trouble.side = TroubleSide::kThisVault;
  } else {
    trouble.side = trouble.others_failing > 0 ? TroubleSide::kOurNetwork : TroubleSide::kUnknown;
  }
  return trouble;
}

absl::StatusOr<KeyDescription> MeteredKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  absl::StatusOr<KeyDescription> answer = vault_.Describe(key, deadline);
  meter_.Count(key.vault_uri, VaultMeter::Operation::kDescribe, answer.status());
  return answer;
}

absl::StatusOr<WrappedKey> MeteredKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                                 absl::Time deadline) {
  absl::StatusOr<WrappedKey> answer = vault_.Wrap(key, dek, deadline);
  meter_.Count(key.vault_uri, VaultMeter::Operation::kWrap, answer.status());
  return answer;
}

absl::StatusOr<crypto::SecretBytes> MeteredKeyVault::Unwrap(const KeyRef& key,
                                                            const WrappedKey& wrapped,
                                                            absl::Time deadline) {
  absl::StatusOr<crypto::SecretBytes> answer = vault_.Unwrap(key, wrapped, deadline);
  meter_.Count(key.vault_uri, VaultMeter::Operation::kUnwrap, answer.status());
  return answer;
}

}  // namespace cmkstore::vault
