#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "cmkstore/v1/hub_service.pb.h"
#include "crypto/binding.h"

namespace cmkstore::service {

// Between the API's Hub and its record: pure functions, no I/O.

// Where a hub's sealed body opens.
crypto::Binding HubBinding(const storage::v1::HubRecord& record, HubUid uid);
std::string HubEtag(const storage::v1::HubRecord& record);

// Each reads one field of a request into the record. Errors: FIELD_INVALID naming it.
absl::Status ReadEncryption(const v1::Encryption& encryption, storage::v1::HubRecord& record);
absl::Status ReadOutageGrace(const v1::Hub& hub, storage::v1::HubRecord& record);
absl::Status ReadIpRanges(const v1::Hub& hub, storage::v1::HubRecord& record);

// All but the sealed display name and what depends on the key's state.
v1::Hub ToHub(const storage::v1::HubRecord& record, HubUid uid);

}  // namespace cmkstore::service
