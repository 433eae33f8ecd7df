#pragma once

#include "cmkstore/v1/key_service.pb.h"
#include "service/hub_access.h"
#include "service/key_checks.h"
#include "service/lock_receipts.h"
#include "service/manage_hubs.h"

namespace cmkstore::service {

// KeyService: status, checks, lock and unlock. Blocking: for control threads. Thread-safe.
class ManageKeys {
 public:
  ManageKeys(HubAccess& hubs, ManageHubs& manage_hubs, KeyChecks& checks,
             keycache::WrappedDekSource& source, LockReceipts& receipts)
      : hubs_(hubs),
        manage_hubs_(manage_hubs),
        checks_(checks),
        source_(source),
        receipts_(receipts) {}

  absl::StatusOr<v1::KeyStatus> GetStatus(const AdmittedCall& call,
                                          const v1::GetKeyStatusRequest& request);
  absl::StatusOr<v1::CheckKeyResponse> Check(const AdmittedCall& call,
                                             const v1::CheckKeyRequest& request);
  absl::StatusOr<v1::KeyStatus> Lock(const AdmittedCall& call, const v1::LockHubRequest& request);
  absl::StatusOr<v1::KeyStatus> Unlock(const AdmittedCall& call,
                                       const v1::UnlockHubRequest& request);

 private:
  absl::StatusOr<v1::KeyStatus> StatusOf(const HubEntry& hub);

  HubAccess& hubs_;
  ManageHubs& manage_hubs_;
  KeyChecks& checks_;
  keycache::WrappedDekSource& source_;
  LockReceipts& receipts_;
};

}  // namespace cmkstore::service
