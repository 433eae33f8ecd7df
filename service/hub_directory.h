#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/ids.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "service/ip_range.h"
#include "service/usage_meter.h"
#include "store/engine.h"

namespace cmkstore::service {

// A hub as the catalog knows it. Immutable; a change makes a new one.
struct HubEntry {
  HubUid uid;
  store::Partition partition;
  storage::v1::HubRecord record;
  std::vector<IpRange> allowed_ip_ranges;  // empty: all
  std::shared_ptr<HubUsage> usage;         // what Find gives has one

  // "tenants/T/hubs/H".
  std::string Name() const;
};
using HubEntryPtr = std::shared_ptr<const HubEntry>;

// The catalog of hubs and projects, with what was looked up kept in memory: this process alone
// writes it.
//
// Thread-safe. Reads local disk on a first look-up. Errors: HUB_NOT_FOUND, PROJECT_NOT_FOUND,
// STORE_CORRUPT.
class HubDirectory {
 public:
  HubDirectory(store::Engine& engine, UsageMeter& meter) : engine_(engine), meter_(meter) {}

  absl::StatusOr<HubEntryPtr> Find(const TenantId& tenant, const HubId& hub);
  // What is left of a purged hub, which Find does not know.
  absl::StatusOr<HubEntryPtr> FindPurged(const TenantId& tenant, const HubId& hub);
  // By uid; only hubs that this process has seen by name, or was told of.
  absl::StatusOr<HubEntryPtr> FindByUid(HubUid uid);
  // The hub's name, for the log, also of one that is purged; empty when it was never seen. Reads no
  // disk.
  std::string NameOf(HubUid uid);
  // FindByUid knows the hub from here on.
  void Remember(const HubEntry& hub);
  // By id, purged ones too.
  absl::StatusOr<std::vector<HubEntryPtr>> List(const TenantId& tenant, const std::string& after,
                                                size_t limit);
  absl::StatusOr<storage::v1::ProjectRecord> GetProject(const HubEntry& hub,
                                                        const ProjectId& project);
  absl::StatusOr<ProjectUid> FindProject(const HubEntry& hub, const ProjectId& project);
  // The readable id of a project; absent if there is none of that uid. A first look-up reads all
  // projects of the hub.
  absl::StatusOr<std::optional<std::string>> ProjectNameOf(const HubEntry& hub, ProjectUid project);
  // Forgets what is remembered, after a change was committed. FindByUid knows the hub from then on.
  void ForgetHub(const TenantId& tenant, const HubId& hub, HubUid uid);
  // The project is deleted, for good: no other ever has its uid.
  void ForgetProject(HubUid hub, const ProjectId& project, ProjectUid uid);

  static HubEntryPtr MakeEntry(storage::v1::HubRecord record) {
    return NewEntry(std::move(record));
  }

 private:
  static std::shared_ptr<HubEntry> NewEntry(storage::v1::HubRecord record);
  using HubKeyPair = std::pair<std::string, std::string>;
  using ProjectKeyPair = std::pair<HubUid, std::string>;
  using ProjectUidPair = std::pair<HubUid, ProjectUid>;
  void RememberName(ProjectUidPair project, std::optional<std::string> name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  store::Engine& engine_;
  UsageMeter& meter_;
  absl::Mutex mutex_;
  // Grows with each Forget. What was read from the store before one is not remembered after it.
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<HubKeyPair, HubEntryPtr> hubs_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<HubUid, HubKeyPair> names_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<ProjectKeyPair, ProjectUid> projects_ ABSL_GUARDED_BY(mutex_);
  // Without a name: there is no such project, nor will there be.
  absl::flat_hash_map<ProjectUidPair, std::optional<std::string>> project_names_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::service
