#include "vault/call_budget.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::vault {
namespace {

// Published per vault and 10 s, in hardware: RSA-2048 2,000, RSA-3072 500, RSA-4096 250.
constexpr double kRsa2048 = 2000 / 10.0 / 2;
constexpr double kRsa3072 = 500 / 10.0 / 2;
constexpr double kRsa4096 = 250 / 10.0 / 2;
// Published per vault and 10 s for what concerns no key: 4,000.
constexpr double kNoKey = 4000 / 10.0 / 2;
// Enough to make hubs as fast as keys of 4,096 bits allow.
constexpr double kNoKeyByTenant = 10;

// A bucket holds a fifth of a second and fills at four fifths: together one second's budget.
constexpr absl::Duration kCapacity = absl::Milliseconds(200);
constexpr double kFill = 0.8;
constexpr absl::Duration kProbeCredit = absl::Seconds(1);
constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Seconds(16);
constexpr absl::Duration kMaxProbePause = absl::Seconds(10);
constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr absl::Duration kOthersShare = absl::Milliseconds(500);
constexpr absl::Duration kRetryAfter = absl::Seconds(1);
constexpr size_t kPruneAbove = 4096;
constexpr absl::Duration kPruneInterval = absl::Minutes(1);
constexpr absl::Duration kIdle = absl::Minutes(5);

}  // namespace

double CallsPerSecond(absl::string_view algorithm, size_t ciphertext_bytes) {
  if (algorithm != "RSA-OAEP-256" || ciphertext_bytes <= 256) return kRsa2048;
  return ciphertext_bytes <= 384 ? kRsa3072 : kRsa4096;
}

double CallsPerSecondOfAnyKey() { return kRsa4096; }

CallBudget::Bucket& CallBudget::Filled(const std::string& vault, absl::Duration cost) {
  const absl::Time now = clock_.MonotonicNow();
  if (buckets_.size() > kPruneAbove && now >= next_prune_) Prune(now);
  const absl::Duration capacity = std::max(kCapacity, cost);
  const auto [found, fresh] = buckets_.try_emplace(vault);
  Bucket& bucket = found->second;
  if (fresh) {
    bucket.level = capacity;
    bucket.filled = now;
  }
  const absl::Duration share = (now - bucket.filled) * kFill / 2;
  bucket.level += share;
  bucket.probes_level += share;
  if (bucket.probes_level > absl::ZeroDuration()) {
    bucket.level += std::exchange(bucket.probes_level, absl::ZeroDuration());
  }
  if (bucket.level > capacity) {
    bucket.probes_level =
        std::min(absl::ZeroDuration(), bucket.probes_level + bucket.level - capacity);
    bucket.level = capacity;
  }
  bucket.filled = now;
  return bucket;
}

void CallBudget::PauseProbes(Bucket& bucket) {
  bucket.probes_paused_until = std::min(bucket.paused_until, bucket.filled + kMaxProbePause);
}

bool CallBudget::TryTake(const std::string& vault, double calls_per_second) {
  const absl::Duration cost = absl::Seconds(1) / calls_per_second;
  absl::MutexLock lock(&mutex_);
  Bucket& bucket = Filled(vault, cost);
  if (bucket.filled < bucket.paused_until || bucket.level < cost) return false;
  if (bucket.filled < bucket.awaited_until && bucket.others_took >= kOthersShare) return false;
  bucket.level -= cost;
  bucket.others_took = std::min(bucket.others_took + cost, kOthersShare);
  return true;
}

bool CallBudget::TryTakeInTurn(const std::string& vault, double calls_per_second) {
  const absl::Duration cost = absl::Seconds(1) / calls_per_second;
  absl::MutexLock lock(&mutex_);
  Bucket& bucket = Filled(vault, cost);
  bucket.awaited_until = bucket.filled + 3 * kLook;  // unless it looks again until then
  if (bucket.filled < bucket.paused_until || bucket.level < cost) return false;
  bucket.level -= cost;
  bucket.others_took = absl::ZeroDuration();
  return true;
}

bool CallBudget::TryTakeOnCredit(const std::string& vault, double calls_per_second) {
  const absl::Duration cost = absl::Seconds(1) / calls_per_second;
  absl::MutexLock lock(&mutex_);
  Bucket& bucket = Filled(vault, cost);
  if (bucket.filled < bucket.probes_paused_until) return false;
  if (bucket.probes_level + kProbeCredit < cost) return false;
  bucket.probes_level -= cost;
  if (bucket.filled < bucket.paused_until) PauseProbes(bucket);  // one at a time finds out
  return true;
}

absl::Duration CallBudget::Pause(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  const auto found = buckets_.find(vault);
  return found == buckets_.end() ? absl::ZeroDuration()
                                 : found->second.paused_until - clock_.MonotonicNow();
}

absl::Status CallBudget::CheckPause(const std::string& vault, absl::Time deadline) {
  const absl::Duration pause = Pause(vault);
  if (pause <= absl::ZeroDuration() || pause < deadline - clock_.WallNow()) return absl::OkStatus();
  return WithCause(VaultThrottled(pause), "throttled");
}

absl::Status CallBudget::AwaitThat(absl::FunctionRef<bool()> may_be_called,
                                   const std::string& vault, absl::Time deadline) {
  while (!may_be_called()) {
    CMK_RETURN_IF_ERROR(CheckPause(vault, deadline));
    if (deadline - clock_.WallNow() <= kLook) return VaultBudgetUsedUp(kRetryAfter);
    clock_.Sleep(kLook);
  }
  return absl::OkStatus();
}

absl::Status CallBudget::Await(const std::string& vault, double calls_per_second,
                               absl::Time deadline) {
  return AwaitThat([&] { return TryTakeInTurn(vault, calls_per_second); }, vault, deadline);
}

absl::Status CallBudget::AwaitWithoutToken(const std::string& tenant, const std::string& vault,
                                           absl::Time deadline) {
  // Names of buckets that no vault has.
  CMK_RETURN_IF_ERROR(Await(absl::StrCat("named by ", tenant), kNoKeyByTenant, deadline));
  CMK_RETURN_IF_ERROR(Await(absl::StrCat("without a token ", vault), kNoKey, deadline));
  return AwaitThat([&] { return Pause(vault) <= absl::ZeroDuration(); }, vault, deadline);
}

void CallBudget::GiveBack(const std::string& vault, double taken_per_second,
                          double calls_per_second) {
  absl::MutexLock lock(&mutex_);
  const auto found = buckets_.find(vault);
  if (found == buckets_.end()) return;
  found->second.level += absl::Seconds(1) / taken_per_second - absl::Seconds(1) / calls_per_second;
}

void CallBudget::Throttled(const std::string& vault, absl::Duration retry_after, double spread) {
  absl::MutexLock lock(&mutex_);
  Bucket& bucket = Filled(vault, absl::ZeroDuration());
  if (bucket.filled >= bucket.paused_until) {  // else one of many that were under way, or a probe
    bucket.backoff = std::clamp(bucket.backoff * 2, kFirstBackoff, kMaxBackoff);
    bucket.paused_until = bucket.filled + std::max(retry_after, bucket.backoff) * (1 + spread / 4);
  }
  PauseProbes(bucket);
}

void CallBudget::Unreachable(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  Filled(vault, absl::ZeroDuration()).failing = true;
}

void CallBudget::Answered(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  const auto found = buckets_.find(vault);
  if (found == buckets_.end()) return;
  found->second.backoff = absl::ZeroDuration();
  found->second.probes_paused_until = absl::InfinitePast();
  found->second.failing = false;
}

bool CallBudget::failing(const std::string& vault) {
  absl::MutexLock lock(&mutex_);
  const auto found = buckets_.find(vault);
  return found != buckets_.end() && found->second.failing;
}

// A walk over all buckets, which a call must not pay each time.
void CallBudget::Prune(absl::Time now) {
  next_prune_ = now + kPruneInterval;
  for (auto bucket = buckets_.begin(); bucket != buckets_.end();) {
    if (now - bucket->second.filled > kIdle && now > bucket->second.paused_until) {
      buckets_.erase(bucket++);
    } else {
      ++bucket;
    }
  }
}

}  // namespace cmkstore::vault
