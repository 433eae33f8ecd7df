// AdminService.Restore, once it runs: a backup on its way into the running server.

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/backup/cut.h"
#include "service/backup/restore.h"
#include "service/key_change_recovery.h"
#include "service/manage_backups.h"
#include "service/shred_hub.h"
#include "store/shard_copy.h"
#include "store/tables.h"
#include "store/usage_table.h"

namespace cmkstore::service {
namespace {

constexpr size_t kRowsAtOnce = 500;
constexpr absl::Duration kStoreAgain = absl::Seconds(1);
// Until a backup is copied once more: a disk that it fills is left alone meanwhile.
constexpr absl::Duration kImportAgain = absl::Minutes(1);
constexpr absl::Duration kSlice = absl::Milliseconds(200);

// Until it is time to try again, or the server stops.
void WaitAfter(const absl::Status& error, const OperationRun& run, Clock& clock) {
  Log(LogLevel::kError, "restore_waits",
      {{"backup", run.argument()},
       {"reason", ReasonOf(error)},
       {"detail", std::string(error.message())}});
  const absl::Time again = clock.MonotonicNow() + kImportAgain;
  while (clock.MonotonicNow() < again && !run.stopping()) clock.Sleep(kSlice);
}

// A change of the hub's key that the backup caught halfway is finished, as by a start (KL-13). Of a
// hub whose keys cannot be read its own calls tell.
storage::v1::HubRecord NamingItsKey(const store::Engine& engine, storage::v1::HubRecord record) {
  if (!record.has_customer_key() || record.state() == storage::v1::HUB_STATE_PURGED) return record;
  storage::v1::HubRecord named = record;
  if (!NameKeyThatWraps(engine, named).value_or(false)) return record;
  named.set_revision(record.revision() + 1);
  Log(LogLevel::kWarning, "key_change_finished",
      {{"hub", absl::StrCat("tenants/", named.tenant(), "/hubs/", named.hub())},
       {"key_name", named.customer_key().key_name()}});
  return named;
}

}  // namespace

absl::Status ManageBackups::MarkRestore(const std::string& backup, bool rows_copied) {
  storage::v1::RestoreRecord record;
  record.set_backup(backup);
  record.set_rows_copied(rows_copied);
  store::WriteSet mark;
  store::RestoreTable::Put(mark, record);
  absl::MutexLock no_deletion(&deletion_);
  return ApplyBlocking(shards_, store::CatalogPartition(), std::move(mark)).status();
}

absl::Status ManageBackups::Insist(const OperationRun& run,
                                   const std::function<absl::Status()>& work) {
  for (;;) {
    const absl::Status done = work();
    if (!IsRefusedForNow(done)) return done;
    if (run.stopping()) return run.CheckGoOn();
    clock_.Sleep(kStoreAgain);
  }
}

bool ManageBackups::MayHaveNamedHubs() const {
  const auto mark = store::RestoreTable(shards_).Get(store::CatalogPartition());
  // Hubs beside a restore that has copied no rows are not its own.
  if (mark.ok() && !(mark->has_value() && (*mark)->rows_copied())) return false;
  const absl::StatusOr<bool> unnamed = IsEmpty();
  return !unnamed.ok() || !*unnamed;
}

ManageBackups::Result ManageBackups::RunRestore(OperationRun& run) {
  // Given up for an error here, what has some of its hubs would be served as if it were all.
  const store::RestoreTable mark(shards_);
  auto begun = mark.Get(store::CatalogPartition());
  while (!begun.ok()) {
    if (run.stopping()) return run.CheckGoOn();
    WaitAfter(begun.status(), run, clock_);
    begun = mark.Get(store::CatalogPartition());
  }
  if (!begun->has_value() || (*begun)->backup() != run.argument()) {
    CMK_RETURN_IF_ERROR(run.CheckGoOn());
    CMK_RETURN_IF_ERROR(MarkRestore(run.argument(), /*rows_copied=*/false));
  }
  // From here on nobody creates a hub.
  Result restored = Import(run);
  // From the first name on there is no way but on, whatever the error: what has some of its hubs
  // can neither be restored into again nor served from as if it were all.
  while (!restored.ok() && !run.stopping() && MayHaveNamedHubs()) {
    WaitAfter(restored.status(), run, clock_);
    restored = Import(run);
  }
  // Interrupted by a stop of the server it goes on after the next start.
  if (!restored.ok() && run.stopping()) return run.CheckGoOn();
  if (const auto unnamed = IsEmpty(); !restored.ok() && unnamed.ok() && *unnamed) {
    // For the room that they take; where it cannot be done, the next restore does it.
    store::DropHubs(shards_).IgnoreError();
  }
  return restored;  // the mark goes with what is written of it (restore_mark.h)
}

// The hubs' rows go first and their names last: until a name is there, nobody finds the hub. After
// a crash it begins anew, unless names are there: then all rows are too, and hubs that have a name
// may have been written to since.
ManageBackups::Result ManageBackups::Import(OperationRun& run) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const auto mark,
                       store::RestoreTable(shards_).Get(store::CatalogPartition()));
  // Hubs with a name are this restore's own only where it has copied all rows before.
  if (!mark.has_value() || !mark->rows_copied()) CMK_RETURN_IF_ERROR(RequireEmpty());
  CMK_ASSIGN_OR_RETURN(const bool unnamed, IsEmpty());
  WorkWatch watch = WatchOf(run);
  // What has names is not cancelled any more.
  if (!unnamed) {
    watch.go_on = [&run] { return run.stopping() ? run.CheckGoOn() : absl::OkStatus(); };
  }
  const ScratchDirectory scratch(data_dir_ + "/restore-online");
  CMK_ASSIGN_OR_RETURN(const StagedBackup staged,
                       StageBackup(options_, run.argument(), {data_dir_, shards_.shard_count()},
                                   scratch.path(), clock_, watch));
  if (unnamed) {
    // A restore of another backup may have ended early: its rows are not this one's.
    CMK_RETURN_IF_ERROR(store::DropHubs(shards_));
    CMK_RETURN_IF_ERROR(
        store::CopyHubs(*staged.shards, shards_, [&run](uint64_t) { return run.CheckGoOn(); }));
    CMK_RETURN_IF_ERROR(MarkRestore(run.argument(), /*rows_copied=*/true));
  }
  CMK_RETURN_IF_ERROR(Insist(run, [&] { return ImportCatalog(*staged.shards); }));
  auto result = std::make_unique<v1::RestoreResult>();
  result->set_backup(absl::StrCat(kBackups, run.argument()));
  result->set_hubs(staged.hubs);
  result->set_purged_hubs(staged.purged_hubs);
  return result;
}

absl::Status ManageBackups::ImportCatalog(const store::ShardSet& staged) {
  const store::Partition catalog = store::CatalogPartition();
  const store::PendingOperationsTable operations(staged);
  CMK_ASSIGN_OR_RETURN(auto pending, operations.ListAll(nullptr, kRowsAtOnce));
  while (!pending.empty()) {
    store::WriteSet pointers;
    for (const auto& one : pending) {
      store::PendingOperationsTable::Put(pointers, one.hub, one.pending.operation(), one.pending);
    }
    CMK_RETURN_IF_ERROR(ApplyBlocking(shards_, catalog, std::move(pointers)).status());
    const auto last = std::move(pending.back());
    CMK_ASSIGN_OR_RETURN(pending, operations.ListAll(&last, kRowsAtOnce));
  }
  const store::HubsTable hubs(staged);
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kRowsAtOnce));
  while (!records.empty()) {
    CMK_RETURN_IF_ERROR(ImportNames(records, staged));
    for (const storage::v1::HubRecord& record : records) {
      if (record.state() != storage::v1::HUB_STATE_ACTIVE) continue;
      indexes_.provision(*HubDirectory::MakeEntry(record));
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kRowsAtOnce));
  }
  return absl::OkStatus();
}

absl::Status ManageBackups::ImportNames(const std::vector<storage::v1::HubRecord>& records,
                                        const store::ShardSet& staged) {
  const store::Partition catalog = store::CatalogPartition();
  const store::HubsTable hubs(shards_);
  const store::LocksTable staged_locks(staged);
  store::WriteSet names;
  std::vector<std::pair<std::string, StoredAmount>> held;  // by tenant
  for (const storage::v1::HubRecord& record : records) {
    // By this restore before it was interrupted: in use since, and counted at the start.
    CMK_ASSIGN_OR_RETURN(const auto known, hubs.Get(catalog, record.tenant(), record.hub()));
    if (known.has_value()) continue;
    const HubEntryPtr hub = HubDirectory::MakeEntry(record);
    const HubUid uid = hub->uid;
    indexes_.files.Destroy(uid);
    // Purged since this restore has copied its rows, before it was interrupted.
    if (record.purge().finish_time_micros() != 0) {
      CMK_ASSIGN_OR_RETURN(const store::Sequence last, shards_.LastSequence(hub->partition));
      if (last != 0) CMK_RETURN_IF_ERROR(DropRows(shards_, hub->partition, uid));
    }
    CMK_ASSIGN_OR_RETURN(const StoredAmount amount, quota_.AmountOf(record));
    held.emplace_back(record.tenant(), amount);
    // Of a purged hub, whose rows are gone.
    store::WriteSet usage;
    CMK_RETURN_IF_ERROR(store::UsageTable(staged).CopyOfPurged(uid, usage));
    if (!usage.empty()) {
      CMK_RETURN_IF_ERROR(ApplyBlocking(shards_, catalog, std::move(usage)).status());
    }
    store::HubsTable::Put(names, record.tenant(), record.hub(), NamingItsKey(shards_, record));
    CMK_ASSIGN_OR_RETURN(const auto lock, staged_locks.Get(catalog, uid));
    if (lock.has_value()) store::LocksTable::Put(names, uid, *lock);
  }
  if (names.empty()) return absl::OkStatus();
  CMK_RETURN_IF_ERROR(ApplyBlocking(shards_, catalog, std::move(names)).status());
  for (const auto& [tenant, amount] : held) quota_.Add(tenant, amount);
  return absl::OkStatus();
}

}  // namespace cmkstore::service
