#include "service/hub_directory.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

// Remembered look-ups; beyond, the map is emptied and fills again.
constexpr size_t kMaxRemembered = 200'000;

}  // namespace

std::string HubEntry::Name() const {
  return absl::StrCat("tenants/", record.tenant(), "/hubs/", record.hub());
}

std::string HubDirectory::NameOf(HubUid uid) {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = names_.find(uid);
  if (found == names_.end()) return "";
  return absl::StrCat("tenants/", found->second.first, "/hubs/", found->second.second);
}

void HubDirectory::Remember(const HubEntry& hub) {
  absl::MutexLock lock(&mutex_);
  names_[hub.uid] = HubKeyPair(hub.record.tenant(), hub.record.hub());
}

std::shared_ptr<HubEntry> HubDirectory::NewEntry(storage::v1::HubRecord record) {
  auto entry = std::make_shared<HubEntry>();
  entry->uid = HubUid::FromBytes(record.uid()).value_or(HubUid());
  entry->partition = store::HubPartition(record.shard(), entry->uid);
  for (const std::string& text : record.allowed_ip_ranges()) {
    // Checked when it was set. What does not parse lets nobody in: no address is the unspecified
    // one.
    entry->allowed_ip_ranges.push_back(
        IpRange::Parse("allowed_ip_ranges", text).value_or(*IpRange::Parse("", "::/128")));
  }
  entry->record = std::move(record);
  return entry;
}

absl::StatusOr<HubEntryPtr> HubDirectory::Find(const TenantId& tenant, const HubId& hub) {
  const HubKeyPair name(tenant.value(), hub.value());
  uint64_t changes = 0;
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (const auto found = hubs_.find(name); found != hubs_.end()) return found->second;
    changes = changes_;
  }
  CMK_ASSIGN_OR_RETURN(auto record, store::HubsTable(engine_).Get(store::CatalogPartition(),
                                                                  tenant.value(), hub.value()));
  if (!record.has_value() || record->state() == storage::v1::HUB_STATE_PURGED) {
    return NotFound("hub");
  }
  const std::shared_ptr<HubEntry> made = NewEntry(std::move(*record));
  made->usage = meter_.Of(made->uid, made->partition);
  const HubEntryPtr entry = made;
  absl::MutexLock lock(&mutex_);
  names_[entry->uid] = name;  // for ever: a uid has one name
  if (changes_ != changes) return entry;
  if (hubs_.size() >= kMaxRemembered) hubs_.clear();
  hubs_[name] = entry;
  return entry;
}

absl::StatusOr<HubEntryPtr> HubDirectory::FindPurged(const TenantId& tenant, const HubId& hub) {
  CMK_ASSIGN_OR_RETURN(auto record, store::HubsTable(engine_).Get(store::CatalogPartition(),
                                                                  tenant.value(), hub.value()));
  if (!record.has_value() || record->state() != storage::v1::HUB_STATE_PURGED) {
    return NotFound("hub");
  }
  return MakeEntry(std::move(*record));
}

absl::StatusOr<HubEntryPtr> HubDirectory::FindByUid(HubUid uid) {
  HubKeyPair name;
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = names_.find(uid);
    if (found == names_.end()) return NotFound("hub");
    name = found->second;
  }
  CMK_ASSIGN_OR_RETURN(const TenantId tenant, TenantId::Parse(name.first));
  CMK_ASSIGN_OR_RETURN(const HubId hub, HubId::Parse(name.second));
  CMK_ASSIGN_OR_RETURN(HubEntryPtr entry, Find(tenant, hub));
  // A purged hub's name may have been taken by another.
  if (entry->uid != uid) return NotFound("hub");
  return entry;
}

absl::StatusOr<std::vector<HubEntryPtr>> HubDirectory::List(const TenantId& tenant,
                                                            const std::string& after,
                                                            size_t limit) {
  CMK_ASSIGN_OR_RETURN(auto records,
                       store::HubsTable(engine_).ListOfTenant(tenant.value(), after, limit));
  std::vector<HubEntryPtr> entries;
  for (storage::v1::HubRecord& record : records) entries.push_back(MakeEntry(std::move(record)));
  return entries;
}

absl::StatusOr<storage::v1::ProjectRecord> HubDirectory::GetProject(const HubEntry& hub,
                                                                    const ProjectId& project) {
  CMK_ASSIGN_OR_RETURN(auto record,
                       store::ProjectsTable(engine_).Get(hub.partition, project.value()));
  if (!record.has_value()) return NotFound("project");
  return *std::move(record);
}

absl::StatusOr<ProjectUid> HubDirectory::FindProject(const HubEntry& hub,
                                                     const ProjectId& project) {
  const ProjectKeyPair name(hub.uid, project.value());
  uint64_t changes = 0;
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (const auto found = projects_.find(name); found != projects_.end()) return found->second;
    changes = changes_;
  }
  CMK_ASSIGN_OR_RETURN(const storage::v1::ProjectRecord record, GetProject(hub, project));
  CMK_ASSIGN_OR_RETURN(const ProjectUid uid, ProjectUid::FromBytes(record.uid()));
  absl::MutexLock lock(&mutex_);
  if (changes_ != changes) return uid;
  if (projects_.size() >= kMaxRemembered) projects_.clear();
  projects_[name] = uid;
  return uid;
}

void HubDirectory::RememberName(ProjectUidPair project, std::optional<std::string> name) {
  if (project_names_.size() >= kMaxRemembered) project_names_.clear();
  project_names_[project] = std::move(name);
}

absl::StatusOr<std::optional<std::string>> HubDirectory::ProjectNameOf(const HubEntry& hub,
                                                                       ProjectUid project) {
  uint64_t changes = 0;
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto found = project_names_.find({hub.uid, project});
    if (found != project_names_.end()) return found->second;
    changes = changes_;
  }
  CMK_ASSIGN_OR_RETURN(const auto records,
                       store::ProjectsTable(engine_).List(hub.partition, kMaxRemembered));
  std::vector<std::pair<ProjectUid, std::string>> names;
  std::optional<std::string> name;
  for (const storage::v1::ProjectRecord& record : records) {
    const absl::StatusOr<ProjectUid> uid = ProjectUid::FromBytes(record.uid());
    if (!uid.ok()) continue;
    if (*uid == project) name = record.project();
    names.emplace_back(*uid, record.project());
  }
  absl::MutexLock lock(&mutex_);
  if (changes_ != changes) return name;
  // All that was read, and that there is no such project: a feed may name many, and one that is
  // deleted over and over.
  for (auto& [uid, its_name] : names) RememberName({hub.uid, uid}, std::move(its_name));
  RememberName({hub.uid, project}, name);
  return name;
}

void HubDirectory::ForgetHub(const TenantId& tenant, const HubId& hub, HubUid uid) {
  const HubKeyPair name(tenant.value(), hub.value());
  absl::MutexLock lock(&mutex_);
  ++changes_;
  hubs_.erase(name);
  names_[uid] = name;
}

void HubDirectory::ForgetProject(HubUid hub, const ProjectId& project, ProjectUid uid) {
  absl::MutexLock lock(&mutex_);
  ++changes_;
  projects_.erase(ProjectKeyPair(hub, project.value()));
  RememberName({hub, uid}, std::nullopt);
}

}  // namespace cmkstore::service
