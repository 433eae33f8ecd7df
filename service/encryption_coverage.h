#pragma once

#include "base/clock.h"
#include "cmkstore/v1/encryption_coverage.pb.h"
#include "keycache/wrapped_dek_source.h"
#include "service/hub_access.h"
#include "service/manage_hubs.h"

namespace cmkstore::service {

// Answers which bytes are under a hub's key: the table of coverage_table.h with the hub's own
// facts. Asks no vault but to show the display name. Blocking: for control threads. Thread-safe.
class EncryptionCoverageReport {
 public:
  EncryptionCoverageReport(HubAccess& hubs, ManageHubs& manage_hubs,
                           keycache::WrappedDekSource& source, Clock& clock)
      : hubs_(hubs), manage_hubs_(manage_hubs), source_(source), clock_(clock) {}

  // Errors: HUB_NOT_FOUND, also for a purged hub: of that GetHub has the receipt.
  absl::StatusOr<v1::EncryptionCoverage> Get(const AdmittedCall& call,
                                             const v1::GetEncryptionCoverageRequest& request);

 private:
  HubAccess& hubs_;
  ManageHubs& manage_hubs_;
  keycache::WrappedDekSource& source_;
  Clock& clock_;
};

}  // namespace cmkstore::service
