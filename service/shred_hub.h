#pragma once

#include "absl/status/status.h"
#include "base/ids.h"
#include "store/engine.h"

namespace cmkstore::service {

// The parts of a hub's end, for whoever purges. Each may be repeated. Blocking. Errors: those of
// the store.

// Deletes the wrapped DEKs and the hub's secrets: whatever bytes remain anywhere are noise.
absl::Status ShredKeys(store::Engine& engine, const store::Partition& hub);
// Copies the hub's usage into the catalog: what it used is still to be paid for.
absl::Status KeepUsage(store::Engine& engine, const store::Partition& hub, HubUid uid);
// Drops all rows of the hub, the pointers to its operations and what is kept of its last lock.
absl::Status DropRows(store::Engine& engine, const store::Partition& hub, HubUid uid);

}  // namespace cmkstore::service
