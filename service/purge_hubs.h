#pragma once

#include <cstddef>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/worker.h"
#include "service/hub_access.h"
#include "service/manage_hubs.h"
#include "service/storage_quota.h"
#include "store/engine.h"

namespace cmkstore::service {

struct PurgeOptions {
  // How long after its purge a hub's usage is kept.
  absl::Duration usage_retention = absl::Hours(400 * 24);
};

// The server's hubs by state.
struct HubStates {
  size_t active = 0, suspended = 0, deleted = 0, purged = 0;
};

// Destroys hubs whose retention has ended, for good.
//
//   1  the hub is marked PURGED with a receipt that names every DEK: no undelete from here on
//   2  the wrapped DEKs and the hub's secrets are deleted, so that what remains anywhere is noise;
//      its cached keys are wiped and its index files deleted
//   3  a receipt is kept apart from backups: no restore brings it back
//   4  its usage is copied to the catalog, and all of its rows are dropped
//   5  the receipt says when it was finished; it stays, and the hub's id with it
//   6  `usage_retention` later its usage is deleted too
//
// Every step may be repeated: a crash between two is made good by the next sweep, or the next
// start's.
//
// Thread-safe. Sweep blocks on local disk; Tick never does.
class PurgeHubs {
 public:
  using KeepReceipt = std::function<absl::Status(const storage::v1::HubRecord&)>;

  // `destroy_index` deletes a hub's index files. A purge is not finished, and is due again, until
  // `keep_receipt` has worked; what it destroys is destroyed at once.
  PurgeHubs(const PurgeOptions& options, HubAccess& hubs, ManageHubs& manage_hubs,
            store::Engine& engine, StorageQuota& quota, Clock& clock,
            std::function<void(HubUid)> destroy_index, KeepReceipt keep_receipt);

  // Purges all that is due. Errors: those of the store and of `keep_receipt`, the first; what was
  // not purged is due again.
  absl::Status Sweep();
  // As the last sweep found them; all zero before the first.
  HubStates LastStates() const;
  // Starts a sweep in the background about once a minute.
  void Tick();
  void Stop() { worker_.Stop(); }

 private:
  absl::Status Purge(const storage::v1::HubRecord& record);
  absl::Status DestroyKeys(const HubEntry& hub);
  absl::Status DestroyRows(const HubEntry& hub);
  bool IsUsageDue(const storage::v1::HubRecord& record, absl::Time now) const;
  absl::Status ForgetUsage(const storage::v1::HubRecord& record);

  const PurgeOptions options_;
  HubAccess& hubs_;
  ManageHubs& manage_hubs_;
  store::Engine& engine_;
  StorageQuota& quota_;
  Clock& clock_;
  const std::function<void(HubUid)> destroy_index_;
  const KeepReceipt keep_receipt_;
  absl::Time next_sweep_ = absl::InfinitePast();  // the ticking thread's
  mutable absl::Mutex mutex_;
  HubStates last_states_ ABSL_GUARDED_BY(mutex_);
  Worker worker_{{.name = "purge", .threads = 1, .max_queued = 1}};
};

}  // namespace cmkstore::service
