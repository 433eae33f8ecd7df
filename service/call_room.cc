#include "service/call_room.h"

#include <functional>
#include <string_view>

#include "absl/time/time.h"
#include "base/errors.h"

namespace cmkstore::service {

CallRoom::Hold::~Hold() {
  if (owner_ == nullptr) return;
  owner_->held_.fetch_sub(bytes_, std::memory_order_relaxed);
  owner_->held_by_[place_].fetch_sub(bytes_, std::memory_order_relaxed);
}

absl::Status CallRoom::Take(absl::string_view tenant, size_t bytes, Hold& hold) {
  const size_t place = std::hash<std::string_view>{}({tenant.data(), tenant.size()}) % kPlaces;
  const size_t of_tenant = held_by_[place].fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const size_t of_all = held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (of_tenant > max_bytes_ / 4 || of_all > max_bytes_) {
    held_by_[place].fetch_sub(bytes, std::memory_order_relaxed);
    held_.fetch_sub(bytes, std::memory_order_relaxed);
    return QuotaExceeded("too many calls are under way, or have answers that have not been read",
                         absl::Seconds(1));
  }
  hold.owner_ = this;
  hold.place_ = place;
  hold.bytes_ += bytes;
  return absl::OkStatus();
}

}  // namespace cmkstore::service
