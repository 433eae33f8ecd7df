#include "service/shred_hub.h"

#include <utility>

#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "store/tables.h"
#include "store/usage_table.h"

namespace cmkstore::service {
namespace {

constexpr size_t kRowsAtOnce = 10'000;

}  // namespace

absl::Status ShredKeys(store::Engine& engine, const store::Partition& hub) {
  CMK_ASSIGN_OR_RETURN(const auto deks, store::DeksTable(engine).List(hub, kRowsAtOnce));
  if (deks.empty()) return absl::OkStatus();
  store::WriteSet shred;
  for (const storage::v1::DekRecord& dek : deks) {
    store::DeksTable::Delete(shred, dek.generation());
  }
  store::HubSecretsTable::Delete(shred);
  return ApplyBlocking(engine, hub, std::move(shred)).status();
}

absl::Status KeepUsage(store::Engine& engine, const store::Partition& hub, HubUid uid) {
  store::WriteSet usage;
  CMK_RETURN_IF_ERROR(store::UsageTable(engine).CopyForPurge(hub, uid, usage));
  if (usage.empty()) return absl::OkStatus();
  return ApplyBlocking(engine, store::CatalogPartition(), std::move(usage)).status();
}

absl::Status DropRows(store::Engine& engine, const store::Partition& hub, HubUid uid) {
  CMK_RETURN_IF_ERROR(engine.DropPartition(hub));
  const store::PendingOperationsTable table(engine);
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const auto pending, table.ListOfHub(uid, kRowsAtOnce));
    store::WriteSet catalog;
    store::LocksTable::Delete(catalog, uid);
    for (const storage::v1::PendingOperation& one : pending) {
      store::PendingOperationsTable::Delete(catalog, uid, one.operation());
    }
    CMK_RETURN_IF_ERROR(
        ApplyBlocking(engine, store::CatalogPartition(), std::move(catalog)).status());
    if (pending.size() < kRowsAtOnce) return absl::OkStatus();
  }
}

}  // namespace cmkstore::service
