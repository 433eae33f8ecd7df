#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "google/longrunning/operations.pb.h"
#include "service/hub_directory.h"

namespace cmkstore::service {

// Between the API's Operation and its record: pure functions, no I/O.

// "server", whose operations are the server's own, and what their names begin with.
inline constexpr absl::string_view kServer = "server";
inline constexpr absl::string_view kServerOperations = "server/operations/";
// Of an Any that holds a message.
inline constexpr char kTypePrefix[] = "type.googleapis.com";

// What stands for a hub where an operation is the server's own: its records are in the catalog.
HubEntryPtr ServerEntry();
bool IsServer(const HubEntry& hub);
// "tenants/T/hubs/H/operations/ID" or "server/operations/ID".
std::string OperationNameOf(const HubEntry& hub, absl::string_view id);
// What the ids of operations of that moment begin with. An id is 16 hex digits that fall as time
// goes on, so that the store's order is newest first, "-" and 8 random ones.
std::string OperationIdsOf(absl::Time created);
// What an operation has ended with; no customer content.
using OperationResult = absl::StatusOr<std::unique_ptr<google::protobuf::Message>>;
// An error of no known reason is logged, and becomes INVARIANT.
void SetEnd(const HubEntry& hub, const OperationResult& result,
            storage::v1::OperationRecord& record);
google::longrunning::Operation ToOperation(const HubEntry& hub,
                                           const storage::v1::OperationRecord& record);

}  // namespace cmkstore::service
