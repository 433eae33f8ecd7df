#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "store/engine.h"

namespace cmkstore::service {

// A change of a hub's key commits its DEKs first, with the key as it is to be named, and the name
// of the key behind them (service/update_hub.cc). Where a crash came between, the hub would be
// under a key that it does not name, and withdrawing the one it names would lock nothing: this
// makes every hub name the key that wraps its newest DEK. To be called before anything is served.
// Blocking.
//
// Errors: those of the catalog; a hub that cannot be read is logged and left to fail its own calls.
absl::Status FinishKeyChanges(store::Engine& engine);

// Has the record name the key that wraps the hub's newest DEK, and as whom it is reached; false
// when it does so already. Errors: those of the hub's partition.
absl::StatusOr<bool> NameKeyThatWraps(const store::Engine& engine, storage::v1::HubRecord& record);

// The hub's record names the key that wraps its DEKs: what was kept of the change is removed.
// Errors: those of the hub's partition; what stays is what the record says.
absl::Status EndKeyChange(store::Engine& engine, const store::Partition& hub);

}  // namespace cmkstore::service
