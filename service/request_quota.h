#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "service/quota_limits.h"

namespace cmkstore::service {

// How many calls a second each tenant makes: a token bucket for each, which holds `burst` calls and
// fills by `requests_per_second`. A refused call takes nothing.
//
// The buckets lie in a table of fixed size, in rows of eight: a call looks at one row, whatever the
// number of tenants, and allocates nothing. Where a row is full, the bucket that is nearest to
// being full of calls gives way; one that is full is as good as none.
//
// Thread-safe. `clock` must outlive this.
class RequestQuota {
 public:
  explicit RequestQuota(Clock& clock) : clock_(clock) {}

  // The limits from here on; buckets keep what is in them.
  void Set(QuotaOptions options);
  // One call of the tenant. Errors: QUOTA_EXCEEDED that says when the next call is let in. Whom it
  // hits is logged (`quota_reached`) once a minute.
  absl::Status Take(absl::string_view tenant);
  uint64_t refused() const { return refused_.value(); }

 private:
  static constexpr size_t kRows = 16'384, kBucketsInRow = 8;
  struct Bucket {
    uint64_t tenant = 0;                          // hash; 0: nobody's
    absl::Time full_at = absl::InfinitePast();    // monotonic
    absl::Time logged_at = absl::InfinitePast();  // monotonic
  };
  using Row = std::array<Bucket, kBucketsInRow>;

  Bucket& BucketOf(absl::string_view tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  Counter refused_;
  std::atomic<bool> limited_{false};  // whether any tenant is
  absl::Mutex mutex_;
  QuotaOptions options_ ABSL_GUARDED_BY(mutex_);
  std::vector<Row> rows_ ABSL_GUARDED_BY(mutex_);  // made with the first limit
};

}  // namespace cmkstore::service
