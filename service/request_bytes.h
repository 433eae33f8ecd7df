#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore::service {

// Bounds what the requests under way, or the answers that nobody reads, hold in memory, so that
// calls that wait for a silent vault or for their own callers do not fill it: in all, and a quarter
// of that for one tenant. Only large ones are counted here, and those are few; CallRoom bounds the
// small ones. Thread-safe; never blocks.
class RequestBytes {
 public:
  static constexpr size_t kSmall = 16u << 10;  // bytes; up to here a request is not counted

  // The bytes of one request, until it is destroyed.
  class Hold {
   public:
    Hold() = default;
    Hold(RequestBytes& owner, std::string tenant, size_t bytes)
        : owner_(&owner), tenant_(std::move(tenant)), bytes_(bytes) {}
    Hold(Hold&& other) noexcept { *this = std::move(other); }
    Hold& operator=(Hold&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(tenant_, other.tenant_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Hold() {
      if (owner_ != nullptr) owner_->Give(tenant_, bytes_);
    }

   private:
    RequestBytes* owner_ = nullptr;
    std::string tenant_;
    size_t bytes_ = 0;
  };

  // `what`, such as "requests under way", is named by the refusal.
  RequestBytes(size_t max_bytes, std::string what)
      : max_bytes_(max_bytes), what_(std::move(what)) {}

  // Errors: QUOTA_EXCEEDED with a RetryInfo.
  absl::StatusOr<Hold> Take(const std::string& tenant, size_t bytes);

 private:
  void Give(const std::string& tenant, size_t bytes);

  const size_t max_bytes_;
  const std::string what_;
  absl::Mutex mutex_;
  size_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, size_t> held_by_ ABSL_GUARDED_BY(mutex_);  // tenant; none of 0
};

}  // namespace cmkstore::service
