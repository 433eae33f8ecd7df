#include "service/request_quota.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kLogEvery = absl::Minutes(1);

bool LimitsRequests(const QuotaOptions& options) {
  return options.of_each.requests_per_second > 0 ||
         std::any_of(options.of_some.begin(), options.of_some.end(),
                     [](const auto& one) { return one.second.requests_per_second > 0; });
}

absl::Status Refusal(absl::string_view tenant, const QuotaLimits& limits, uint32_t burst,
                     absl::Duration wait) {
  return QuotaExceeded(
      {.subject = absl::StrCat("tenants/", tenant),
       .quota = "requests_per_second",
       .description = absl::StrCat(
           "the tenant may make ", limits.requests_per_second, " calls a second, and ", burst,
           " at once after a quiet time; spread them, or ask the operator for more"),
       // In whole milliseconds, and never none.
       .retry_after = absl::Ceil(wait, absl::Milliseconds(1))});
}

}  // namespace

void RequestQuota::Set(QuotaOptions options) {
  absl::MutexLock lock(&mutex_);
  options_ = std::move(options);
  const bool limited = LimitsRequests(options_);
  if (limited && rows_.empty()) rows_.resize(kRows);
  limited_.store(limited, std::memory_order_release);
}

RequestQuota::Bucket& RequestQuota::BucketOf(absl::string_view tenant) {
  const uint64_t hash = std::max<uint64_t>(absl::Hash<absl::string_view>{}(tenant), 1);
  Row& row = rows_[hash % kRows];
  Bucket* fullest = &row.front();
  for (Bucket& bucket : row) {
    if (bucket.tenant == hash) return bucket;
    if (bucket.full_at < fullest->full_at) fullest = &bucket;
  }
  *fullest = Bucket{.tenant = hash};
  return *fullest;
}

absl::Status RequestQuota::Take(absl::string_view tenant) {
  if (!limited_.load(std::memory_order_acquire)) return absl::OkStatus();
  QuotaLimits limits;
  absl::Duration wait;
  uint32_t burst = 0;
  bool log = false;
  {
    absl::MutexLock lock(&mutex_);
    limits = options_.Of(tenant);
    if (limits.requests_per_second == 0) return absl::OkStatus();
    burst = limits.burst == 0 ? limits.requests_per_second : limits.burst;
    const absl::Duration per_call = absl::Seconds(1) / limits.requests_per_second;
    const absl::Time now = clock_.MonotonicNow();
    Bucket& bucket = BucketOf(tenant);
    // At most as empty as it may be under the limits of now: what was owed under lower ones is not.
    bucket.full_at = std::min(bucket.full_at, now + per_call * burst);
    const absl::Time full_at = std::max(bucket.full_at, now) + per_call;
    wait = full_at - now - per_call * burst;
    if (wait <= absl::ZeroDuration()) {
      bucket.full_at = full_at;
      return absl::OkStatus();
    }
    log = bucket.logged_at + kLogEvery <= now;
    if (log) bucket.logged_at = now;
  }
  refused_.Add();
  if (log) {
    Log(LogLevel::kWarning, "quota_reached",
        {{"tenant", std::string(tenant)},
         {"quota", "requests_per_second"},
         {"limit", absl::StrCat(limits.requests_per_second)}});
  }
  return Refusal(tenant, limits, burst, wait);
}

}  // namespace cmkstore::service
