#include "service/purge_hubs.h"

#include <utility>

#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/shred_hub.h"
#include "store/tables.h"
#include "store/usage_table.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kSweepEvery = absl::Minutes(1);
constexpr size_t kHubsAtOnce = 1000;
constexpr size_t kRowsAtOnce = 10'000;

void Count(storage::v1::HubState state, HubStates& states) {
  switch (state) {
    case storage::v1::HUB_STATE_SUSPENDED: ++states.suspended; break;
    case storage::v1::HUB_STATE_DELETED: ++states.deleted; break;
    case storage::v1::HUB_STATE_PURGED: ++states.purged; break;
    default: ++states.active; break;
  }
}

bool IsDue(const storage::v1::HubRecord& record, absl::Time now) {
  if (record.state() == storage::v1::HUB_STATE_PURGED) {
    return record.purge().finish_time_micros() == 0;
  }
  return record.state() == storage::v1::HUB_STATE_DELETED &&
         absl::FromUnixMicros(record.purge_time_micros()) <= now;
}

}  // namespace

PurgeHubs::PurgeHubs(const PurgeOptions& options, HubAccess& hubs, ManageHubs& manage_hubs,
                     store::Engine& engine, StorageQuota& quota, Clock& clock,
                     std::function<void(HubUid)> destroy_index, KeepReceipt keep_receipt)
    : options_(options),
      hubs_(hubs),
      manage_hubs_(manage_hubs),
      engine_(engine),
      quota_(quota),
      clock_(clock),
      destroy_index_(std::move(destroy_index)),
      keep_receipt_(std::move(keep_receipt)) {}

void PurgeHubs::Tick() {
  const absl::Time now = clock_.MonotonicNow();
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepEvery;
  // Not taken while the last sweep still runs: the next one finds what is due.
  (void)worker_.TryRun([this] {
    if (const absl::Status swept = Sweep(); !swept.ok()) {
      Log(LogLevel::kError, "purge_failed", {{"reason", ReasonOf(swept)}});
    }
  });
}

absl::Status PurgeHubs::Sweep() {
  const absl::Time now = clock_.WallNow();
  const store::HubsTable hubs(engine_);
  const store::Partition catalog = store::CatalogPartition();
  absl::Status first_failure;
  HubStates states;
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    for (const storage::v1::HubRecord& record : records) {
      Count(record.state(), states);
      if (IsDue(record, now)) first_failure.Update(Purge(record));
      if (IsUsageDue(record, now)) first_failure.Update(ForgetUsage(record));
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  absl::MutexLock lock(&mutex_);
  last_states_ = states;
  return first_failure;
}

HubStates PurgeHubs::LastStates() const {
  absl::MutexLock lock(&mutex_);
  return last_states_;
}

absl::Status PurgeHubs::Purge(const storage::v1::HubRecord& record) {
  CMK_ASSIGN_OR_RETURN(TenantId tenant, TenantId::Parse(record.tenant()));
  CMK_ASSIGN_OR_RETURN(HubId id, HubId::Parse(record.hub()));
  const HubName name{std::move(tenant), std::move(id)};
  const HubEntryPtr hub = HubDirectory::MakeEntry(record);
  storage::v1::HubRecord purged = record;
  if (record.state() != storage::v1::HUB_STATE_PURGED) {
    CMK_ASSIGN_OR_RETURN(const auto deks,
                         store::DeksTable(engine_).List(hub->partition, kRowsAtOnce));
    const absl::Time now = clock_.WallNow();
    const absl::StatusOr<HubEntryPtr> marked =
        manage_hubs_.ChangeAny(name, [&](storage::v1::HubRecord& changed) {
          if (!IsDue(changed, now)) return StateInvalid("undeleted meanwhile");
          changed.set_state(storage::v1::HUB_STATE_PURGED);
          changed.clear_sealed_body();
          storage::v1::PurgeReceipt& receipt = *changed.mutable_purge();
          receipt.set_start_time_micros(absl::ToUnixMicros(now));
          for (const storage::v1::DekRecord& dek : deks) receipt.add_dek_ids(dek.dek_id());
          return absl::OkStatus();
        });
    if (HasReason(marked.status(), "STATE_INVALID")) return absl::OkStatus();
    CMK_RETURN_IF_ERROR(marked.status());
    purged = (*marked)->record;
  }
  // The keys before the receipt, whose storage may hang; the rows, which may take long, behind it.
  const absl::Status shredded = DestroyKeys(*hub);
  const absl::Status kept = keep_receipt_(purged);
  CMK_RETURN_IF_ERROR(shredded);
  CMK_RETURN_IF_ERROR(DestroyRows(*hub));
  CMK_RETURN_IF_ERROR(kept);
  CMK_RETURN_IF_ERROR(manage_hubs_
                          .ChangeAny(name,
                                     [&](storage::v1::HubRecord& changed) {
                                       changed.mutable_purge()->set_finish_time_micros(
                                           absl::ToUnixMicros(clock_.WallNow()));
                                       return absl::OkStatus();
                                     })
                          .status());
  Log(LogLevel::kInfo, "hub_purged", {{"hub_uid", hub->uid.ToHex()}, {"hub", hub->Name()}});
  return absl::OkStatus();
}

bool PurgeHubs::IsUsageDue(const storage::v1::HubRecord& record, absl::Time now) const {
  const storage::v1::PurgeReceipt& purge = record.purge();
  return purge.finish_time_micros() != 0 && !purge.usage_forgotten() &&
         absl::FromUnixMicros(purge.finish_time_micros()) + options_.usage_retention <= now;
}

absl::Status PurgeHubs::ForgetUsage(const storage::v1::HubRecord& record) {
  CMK_ASSIGN_OR_RETURN(TenantId tenant, TenantId::Parse(record.tenant()));
  CMK_ASSIGN_OR_RETURN(HubId id, HubId::Parse(record.hub()));
  const HubEntryPtr hub = HubDirectory::MakeEntry(record);
  store::WriteSet usage;
  CMK_RETURN_IF_ERROR(store::UsageTable(engine_).DeleteOfPurged(hub->uid, usage));
  if (!usage.empty()) {
    CMK_RETURN_IF_ERROR(
        ApplyBlocking(engine_, store::CatalogPartition(), std::move(usage)).status());
  }
  CMK_RETURN_IF_ERROR(manage_hubs_
                          .ChangeAny({std::move(tenant), std::move(id)},
                                     [](storage::v1::HubRecord& changed) {
                                       changed.mutable_purge()->set_usage_forgotten(true);
                                       return absl::OkStatus();
                                     })
                          .status());
  Log(LogLevel::kInfo, "purged_usage_forgotten",
      {{"hub_uid", hub->uid.ToHex()}, {"hub", hub->Name()}});
  return absl::OkStatus();
}

absl::Status PurgeHubs::DestroyKeys(const HubEntry& hub) {
  CMK_RETURN_IF_ERROR(ShredKeys(engine_, hub.partition));
  hubs_.key_cache().Forget(hub.uid, /*is_gone=*/true);
  destroy_index_(hub.uid);
  return absl::OkStatus();
}

absl::Status PurgeHubs::DestroyRows(const HubEntry& hub) {
  CMK_RETURN_IF_ERROR(KeepUsage(engine_, hub.partition, hub.uid));
  CMK_ASSIGN_OR_RETURN(const StoredAmount held, quota_.AmountOf(hub.record));
  const absl::Status dropped = DropRows(engine_, hub.partition, hub.uid);
  // What is gone, also when not all was done, or was done before. Done, it leaves nothing.
  const absl::StatusOr<StoredAmount> left = quota_.AmountOf(hub.record);
  if (left.ok() || dropped.ok()) {
    quota_.Add(hub.record.tenant(), left.value_or(StoredAmount()) - held);
  }
  return dropped;
}

}  // namespace cmkstore::service
