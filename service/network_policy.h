#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "service/authorizer.h"
#include "service/hub_directory.h"

namespace cmkstore::service {

// From where a hub may be reached: its allowed IP ranges. Thread-safe, reads local disk on a first
// look-up.
class NetworkPolicy {
 public:
  explicit NetworkPolicy(HubDirectory& directory) : directory_(directory) {}

  // OK for a scope without a hub, and for a hub that does not exist: authorization answers for
  // that. `peer` is gRPC's text of it. Errors: NETWORK_DENIED.
  absl::Status Check(const ResourceScope& scope, absl::string_view peer);

 private:
  HubDirectory& directory_;
};

}  // namespace cmkstore::service
