#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::service {

// An address of a peer; IPv4 in its IPv6-mapped form, so that there is one kind.
using IpAddress = std::array<uint8_t, 16>;

// Of gRPC's peer text ("ipv4:10.0.0.1:4242", "ipv6:%5B::1%5D:4242"); nothing for a socket without
// an address.
std::optional<IpAddress> AddressOfPeer(absl::string_view peer);

// A CIDR range such as "10.0.0.0/8" or "2001:db8::/32"; a single address without "/". Immutable
// value.
class IpRange {
 public:
  // Errors: FIELD_INVALID naming `field`, also when bits beyond the prefix are set.
  static absl::StatusOr<IpRange> Parse(absl::string_view field, absl::string_view text);
  bool Contains(const IpAddress& address) const;

 private:
  IpRange(const IpAddress& base, int bits) : base_(base), bits_(bits) {}
  IpAddress base_;
  int bits_;  // of 128
};

}  // namespace cmkstore::service
