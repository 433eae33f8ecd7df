#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace cmkstore::service {

// Bounds what all calls under way hold in memory beside large requests and large answers
// (RequestBytes), each from its admission until its answer is handed to the transport, which a
// caller that does not read may delay for ever: in all, and a quarter of that for one tenant.
//
// Every call passes here, so it takes no lock and allocates nothing. Tenants are told apart by a
// hash: two that share a place, one pair in thousands, share its quarter.
//
// Thread-safe. Outlives its holds.
class CallRoom {
 public:
  static constexpr size_t kCall = 4u << 10;  // bytes that a call holds beside its messages

  // What one call holds, until it is destroyed.
  class Hold {
   public:
    Hold() = default;
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold();

   private:
    friend class CallRoom;
    CallRoom* owner_ = nullptr;
    size_t place_ = 0;
    size_t bytes_ = 0;
  };

  explicit CallRoom(size_t max_bytes) : max_bytes_(max_bytes) {}

  // So many bytes more for a call of the tenant. Errors: QUOTA_EXCEEDED with a RetryInfo; the hold
  // is then as it was.
  absl::Status Take(absl::string_view tenant, size_t bytes, Hold& hold);

 private:
  static constexpr size_t kPlaces = 4096;

  const size_t max_bytes_;
  std::atomic<size_t> held_{0};
  std::array<std::atomic<size_t>, kPlaces> held_by_{};  // tenants, by hash
};

}  // namespace cmkstore::service
