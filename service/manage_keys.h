#pragma once

#include "cmkstore/v1/key_service.pb.h"
#include "service/hub_access.h"
#include "service/hub_key_changes.h"
#include "service/key_checks.h"
#include "service/lock_receipts.h"
#include "service/manage_hubs.h"
#include "service/operations.h"
#include "vault/vault_meter.h"

namespace cmkstore::service {

// KeyService: status, checks, lock, unlock, rotation. Blocking: for control threads. Thread-safe.
class ManageKeys {
 public:
  ManageKeys(HubAccess& hubs, ManageHubs& manage_hubs, KeyChecks& checks,
             HubKeyChanges& key_changes, Operations& operations, keycache::WrappedDekSource& source,
             LockReceipts& receipts, vault::VaultMeter& meter, Clock& clock);

  absl::StatusOr<v1::KeyStatus> GetStatus(const AdmittedCall& call,
                                          const v1::GetKeyStatusRequest& request);
  absl::StatusOr<v1::CheckKeyResponse> Check(const AdmittedCall& call,
                                             const v1::CheckKeyRequest& request);
  absl::StatusOr<v1::KeyStatus> Lock(const AdmittedCall& call, const v1::LockHubRequest& request);
  absl::StatusOr<v1::KeyStatus> Unlock(const AdmittedCall& call,
                                       const v1::UnlockHubRequest& request);
  absl::StatusOr<google::longrunning::Operation> Rotate(const AdmittedCall& call,
                                                        const v1::RotateDekRequest& request);

 private:
  static void AddReceipt(const storage::v1::LockRecord& last, v1::KeyStatus& status);
  keycache::HubKeyStatus KnownOf(const HubEntry& hub);
  absl::StatusOr<v1::KeyStatus> StatusOf(const HubEntry& hub);
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> RunRotation(OperationRun& run);

  HubAccess& hubs_;
  ManageHubs& manage_hubs_;
  KeyChecks& checks_;
  HubKeyChanges& key_changes_;
  Operations& operations_;
  keycache::WrappedDekSource& source_;
  LockReceipts& receipts_;
  vault::VaultMeter& meter_;
  Clock& clock_;
};

}  // namespace cmkstore::service
