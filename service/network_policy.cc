#include "service/network_policy.h"

#include <algorithm>

#include "base/errors.h"

namespace cmkstore::service {

absl::Status NetworkPolicy::Check(const ResourceScope& scope, absl::string_view peer) {
  if (!scope.hub.has_value()) return absl::OkStatus();
  const absl::StatusOr<HubEntryPtr> hub = directory_.Find(scope.tenant, *scope.hub);
  if (!hub.ok()) return HasReason(hub.status(), "HUB_NOT_FOUND") ? absl::OkStatus() : hub.status();
  const std::vector<IpRange>& ranges = (*hub)->allowed_ip_ranges;
  if (ranges.empty()) return absl::OkStatus();
  const std::optional<IpAddress> address = AddressOfPeer(peer);
  const bool allowed = address.has_value() &&
                       std::any_of(ranges.begin(), ranges.end(),
                                   [&](const IpRange& range) { return range.Contains(*address); });
  return allowed ? absl::OkStatus() : NetworkDenied();
}

}  // namespace cmkstore::service
