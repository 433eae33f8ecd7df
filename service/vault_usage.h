#pragma once

#include "cmkstore/v1/key_service.pb.h"
#include "service/hub_access.h"
#include "vault/vault_meter.h"

namespace cmkstore::service {

// What the meter of vault calls tells a tenant. Blocking: for control threads. Thread-safe.
class VaultUsageReport {
 public:
  VaultUsageReport(HubAccess& hubs, keycache::WrappedDekSource& source, vault::VaultMeter& meter,
                   Clock& clock)
      : hubs_(hubs), source_(source), meter_(meter), clock_(clock) {}

  absl::StatusOr<v1::GetVaultUsageResponse> Get(const AdmittedCall& call,
                                                const v1::GetVaultUsageRequest& request);

 private:
  HubAccess& hubs_;
  keycache::WrappedDekSource& source_;
  vault::VaultMeter& meter_;
  Clock& clock_;
};

// Sets the outage of a key's status, if there is trouble.
void AddOutage(const vault::VaultTrouble& trouble, v1::KeyStatus& status);

}  // namespace cmkstore::service
