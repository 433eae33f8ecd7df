#include "service/request_bytes.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace cmkstore::service {

absl::StatusOr<RequestBytes::Hold> RequestBytes::Take(const std::string& tenant, size_t bytes) {
  if (bytes <= kSmall) return Hold();
  absl::MutexLock lock(&mutex_);
  const auto found = held_by_.find(tenant);
  const size_t of_tenant = found == held_by_.end() ? 0 : found->second;
  if (held_ + bytes > max_bytes_ || of_tenant + bytes > max_bytes_ / 4) {
    return QuotaExceeded(absl::StrCat("the ", what_, " are too large together"), absl::Seconds(1));
  }
  held_ += bytes;
  held_by_[tenant] = of_tenant + bytes;
  return Hold(*this, tenant, bytes);
}

void RequestBytes::Give(const std::string& tenant, size_t bytes) {
  absl::MutexLock lock(&mutex_);
  held_ -= bytes;
  const auto found = held_by_.find(tenant);
  found->second -= bytes;
  if (found->second == 0) held_by_.erase(found);
}

}  // namespace cmkstore::service
