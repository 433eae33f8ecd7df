#include "service/shred_hub.h"

#include <utility>

#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "store/tables.h"

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

absl::Status DropRows(store::Engine& engine, const store::Partition& hub, HubUid uid) {
  CMK_RETURN_IF_ERROR(engine.DropPartition(hub));
  CMK_ASSIGN_OR_RETURN(const auto pending,
                       store::PendingOperationsTable(engine).ListOfHub(uid, kRowsAtOnce));
  store::WriteSet catalog;
  store::LocksTable::Delete(catalog, uid);
  for (const storage::v1::PendingOperation& one : pending) {
    store::PendingOperationsTable::Delete(catalog, uid, one.operation());
  }
  return ApplyBlocking(engine, store::CatalogPartition(), std::move(catalog)).status();
}

}  // namespace cmkstore::service
