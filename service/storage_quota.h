#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "service/quota_limits.h"
#include "store/engine.h"
#include "store/usage_table.h"

namespace cmkstore::service {

// Documents and bytes of their sealed rows: what there is, or how many more or fewer.
struct StoredAmount {
  int64_t documents = 0;
  int64_t bytes = 0;

  static StoredAmount Of(const store::UsageNumbers& numbers) {
    return {numbers[store::UsageCounter::kDocuments], numbers[store::UsageCounter::kStoredBytes]};
  }
  friend StoredAmount operator-(StoredAmount a, StoredAmount b) {
    return {a.documents - b.documents, a.bytes - b.bytes};
  }
  friend bool operator==(const StoredAmount&, const StoredAmount&) = default;
};

class StorageQuota;

// Room that a write will need, held from before its commit until it is known what became of that.
class StorageReservation {
 public:
  StorageReservation(StorageReservation&& other) noexcept;
  // Gives back what was not committed.
  ~StorageReservation();
  // The commit is done: what was added stays, and what was taken off is taken off.
  void Committed();

 private:
  friend class StorageQuota;
  StorageReservation(StorageQuota& quota, std::string tenant, StoredAmount change)
      : quota_(&quota), tenant_(std::move(tenant)), change_(change) {}

  StorageQuota* quota_;  // null: nothing is held any more
  std::string tenant_;
  StoredAmount change_;
};

// What each tenant's hubs hold together, and how much they may.
//
// The sums begin with the usage rows of all hubs, which count exactly (store/usage_table.h), and go
// on with each commit. Whatever adds to or takes from a hub's documents must say so here, too.
//
// Thread-safe. The bound on its size is that of the tenants that have documents. All given must
// outlive this.
class StorageQuota {
 public:
  StorageQuota(store::Engine& engine, Clock& clock) : engine_(engine), clock_(clock) {}

  // Sums up what is stored; before the first write. A hub whose usage rows cannot be read is logged
  // (`hub_usage_unreadable`) and counts nothing. Errors: those of the store.
  absl::Status Load();
  // The limits from here on. Who is over them already keeps what is there.
  void Set(QuotaOptions options);

  // Room for `change`. What a change takes off passes always; what it adds must fit. Errors:
  // QUOTA_EXCEEDED without a time: it will not fit later either. Whom it hits is logged
  // (`quota_reached`) once a minute.
  absl::StatusOr<StorageReservation> Reserve(const std::string& tenant, StoredAmount change);
  // What happened without being asked for: a project that was deleted, a hub that was purged or
  // restored.
  void Add(const std::string& tenant, StoredAmount change);
  // What the usage rows say of one hub. Reads the disk.
  absl::StatusOr<StoredAmount> AmountOf(const storage::v1::HubRecord& hub) const;

  StoredAmount HeldBy(const std::string& tenant) const;
  uint64_t refused_documents() const { return refused_documents_.value(); }
  uint64_t refused_bytes() const { return refused_bytes_.value(); }

 private:
  struct Tenant {
    StoredAmount held;                            // also what is reserved
    absl::Time logged_at = absl::InfinitePast();  // monotonic
  };

  absl::Status Refuse(const std::string& tenant, absl::string_view quota, uint64_t limit, bool log);

  store::Engine& engine_;
  Clock& clock_;
  Counter refused_documents_, refused_bytes_;
  mutable absl::Mutex mutex_;
  QuotaOptions options_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Tenant> tenants_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::service
