#include "service/manage_backups.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/backup/purge_receipts.h"
#include "service/backup/restore.h"
#include "service/backup/verify.h"
#include "service/limits.h"
#include "service/operation_codec.h"
#include "service/restore_mark.h"
#include "service/store_record.h"
#include "service/timestamps.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

using storage::v1::BackupManifest;

// On disk.
constexpr char kBackup[] = "backup";
constexpr char kVerify[] = "verify-integrity";

constexpr size_t kMaxPending = 10'000;

absl::StatusOr<std::string> ParseBackupName(absl::string_view field, absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kBackups) || name.empty()) {
    return FieldInvalid(field, "must be of the form backups/{backup}");
  }
  return std::string(name);
}

// `own`: the uid of the store that is served.
v1::Backup ToBackup(const BackupManifest& manifest, const std::string& own, bool with_keys) {
  v1::Backup backup;
  backup.set_name(absl::StrCat(kBackups, manifest.backup()));
  *backup.mutable_create_time() = ToTimestamp(manifest.create_time_micros());
  for (const storage::v1::BackupFile& file : manifest.files()) {
    backup.set_size_bytes(backup.size_bytes() + file.size());
  }
  backup.set_new_bytes(manifest.new_bytes());
  backup.set_files(static_cast<uint64_t>(manifest.files_size()));
  backup.set_hubs(manifest.hubs());
  backup.set_platform_managed_hubs(manifest.platform_managed_hubs());
  backup.set_shards(manifest.shard_count());
  backup.set_of_this_store(manifest.store_uid() == own);
  if (!with_keys) return backup;
  for (const storage::v1::BackupKey& key : manifest.keys()) {
    v1::BackupKeyVersion& version = *backup.add_keys();
    version.set_tenant(key.tenant());
    version.set_kek_id(key.kek_id());
    version.set_hubs(key.hubs());
    version.set_deks(key.deks());
  }
  return backup;
}

}  // namespace

ManageBackups::ManageBackups(store::ShardSet& shards, BackupOptions options, std::string data_dir,
                             StorageQuota& quota, Operations& operations, BackupStats& stats,
                             Clock& clock, const PageTokens& tokens, Indexes indexes)
    : shards_(shards),
      options_(std::move(options)),
      data_dir_(std::move(data_dir)),
      quota_(quota),
      operations_(operations),
      stats_(stats),
      clock_(clock),
      tokens_(tokens),
      indexes_(std::move(indexes)) {
  operations_.AddKind(kBackup, [this](OperationRun& run) { return RunBackup(run); });
  operations_.AddKind(
      kRestoreKind, [this](OperationRun& run) { return RunRestore(run); },
      Operations::Ends::kWhenCleanedUp);
  operations_.AddKind(kVerify, [this](OperationRun& run) { return RunVerify(run); });
  ForgetEndedRestore().IgnoreError();  // where it cannot be done, the next start does it
  if (options_.directory.empty()) return;
  const absl::StatusOr<BackupStore> store = BackupStore::Open(options_.directory);
  if (!store.ok()) return;
  const absl::StatusOr<std::string> own = StoreUid();
  if (!own.ok()) return;
  if (const auto newest = store->NewestOf(*own); newest.ok()) NoteNewest(*newest);
}

WorkWatch ManageBackups::WatchOf(OperationRun& run) {
  return {[&run] { return run.CheckGoOn(); },
          [&run](uint64_t done, uint64_t total) { run.Progress(done, total); }};
}

bool ManageBackups::IsCutOff(const storage::v1::RestoreRecord& begun) const {
  if (!begun.rows_copied()) return false;
  if (const auto unnamed = IsEmpty(); unnamed.ok() && *unnamed) return false;
  const auto records = store::OperationsTable(shards_).List(store::CatalogPartition(), kMaxPending);
  if (!records.ok()) return true;
  const auto newest = std::find_if(records->begin(), records->end(), [&begun](const auto& one) {
    return one.kind() == kRestoreKind && one.argument() == begun.backup();
  });
  return newest == records->end() || newest->error_code() != 0;
}

absl::Status ManageBackups::ForgetEndedRestore() {
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(const auto begun, store::RestoreTable(shards_).Get(catalog));
  if (!begun.has_value()) return absl::OkStatus();
  CMK_ASSIGN_OR_RETURN(const auto pending, store::PendingOperationsTable(shards_).ListOfHub(
                                               ServerEntry()->uid, kMaxPending));
  for (const storage::v1::PendingOperation& one : pending) {
    CMK_ASSIGN_OR_RETURN(const auto record,
                         store::OperationsTable(shards_).Get(catalog, one.operation()));
    if (record.has_value() && !record->done() && record->kind() == kRestoreKind) {
      return absl::OkStatus();  // it goes on
    }
  }
  if (IsCutOff(*begun)) {
    Log(LogLevel::kError, "restore_cut_off", {{"backup", begun->backup()}});
    return absl::OkStatus();
  }
  store::WriteSet end;
  store::RestoreTable::Delete(end);
  return ApplyBlocking(shards_, catalog, std::move(end)).status();
}

absl::StatusOr<std::string> ManageBackups::StoreUid() const {
  CMK_ASSIGN_OR_RETURN(const storage::v1::StoreRecord facts, StoredFacts(shards_));
  return absl::BytesToHexString(facts.store_uid());
}

void ManageBackups::NoteNewest(const std::optional<BackupManifest>& newest) {
  // None is of the future: that of before the clock was set back would hide that later ones fail.
  stats_.last_success_micros = newest.has_value() ? std::min(newest->create_time_micros(),
                                                             absl::ToUnixMicros(clock_.WallNow()))
                                                  : 0;
}

absl::Status ManageBackups::RequireDirectory() const {
  if (!options_.directory.empty()) return absl::OkStatus();
  return StateInvalid("backup.directory is not configured on this server");
}

absl::StatusOr<bool> ManageBackups::IsEmpty() const {
  CMK_ASSIGN_OR_RETURN(const auto hubs,
                       store::HubsTable(shards_).List(store::CatalogPartition(), 1));
  return hubs.empty();
}

absl::Status ManageBackups::RequireEmpty() const {
  CMK_ASSIGN_OR_RETURN(const bool empty, IsEmpty());
  if (empty) return absl::OkStatus();
  return StateInvalid("the server has hubs; a restore goes into an empty one");
}

absl::Status ManageBackups::RequireNone(const std::string& kind, absl::string_view what) const {
  if (!operations_.IsUnderWay(kind)) return absl::OkStatus();
  return StateInvalid(absl::StrCat(
      what, "; try again when that has ended (cmkctl operations list --server shows it)"));
}

absl::Status ManageBackups::RequireNotRestoring(const std::string& backup) const {
  CMK_ASSIGN_OR_RETURN(const auto begun,
                       store::RestoreTable(shards_).Get(store::CatalogPartition()));
  if (!begun.has_value() || begun->backup() != backup) return absl::OkStatus();
  return StateInvalid(
      "the backup is being restored into this server; delete it when that has ended");
}

absl::StatusOr<google::longrunning::Operation> ManageBackups::Backup(
    const AdmittedCall& /*call*/, const v1::BackupRequest& /*request*/) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options_.directory));
  absl::MutexLock no_restore_begins(&starting_);
  // It would have some of the hubs or none, and be the newest.
  CMK_RETURN_IF_ERROR(RequireNone(kRestoreKind, "a backup is being restored into this server"));
  CMK_ASSIGN_OR_RETURN(last_id_, store.NewId(clock_.WallNow(), last_id_));
  return operations_.StartOfServer(kBackup, last_id_);
}

absl::StatusOr<v1::ListBackupsResponse> ManageBackups::List(const AdmittedCall& call,
                                                            const v1::ListBackupsRequest& request) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  constexpr absl::string_view kQuestion = "ListBackups";
  CMK_ASSIGN_OR_RETURN(const std::string cursor,
                       tokens_.Decode(call.caller(), kQuestion, request.page_token()));
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options_.directory));
  CMK_ASSIGN_OR_RETURN(const std::string own, StoreUid());
  CMK_ASSIGN_OR_RETURN(const std::vector<std::string> ids, store.List(cursor, page_size + 1));
  v1::ListBackupsResponse response;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i == page_size) {
      response.set_next_page_token(tokens_.Encode(call.caller(), kQuestion, ids[i - 1]));
      break;
    }
    const absl::StatusOr<BackupManifest> manifest = store.Read(ids[i]);
    if (HasReason(manifest.status(), "BACKUP_NOT_FOUND")) continue;  // pruned meanwhile
    if (manifest.ok()) {
      *response.add_backups() = ToBackup(*manifest, own, /*with_keys=*/false);
    } else {
      response.add_backups()->set_name(absl::StrCat(kBackups, ids[i]));
    }
  }
  return response;
}

absl::StatusOr<v1::Backup> ManageBackups::Get(const AdmittedCall& /*call*/,
                                              const v1::GetBackupRequest& request) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const std::string id, ParseBackupName("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options_.directory));
  CMK_ASSIGN_OR_RETURN(const std::string own, StoreUid());
  CMK_ASSIGN_OR_RETURN(const BackupManifest manifest, store.Read(id));
  return ToBackup(manifest, own, /*with_keys=*/true);
}

absl::StatusOr<google::protobuf::Empty> ManageBackups::Delete(
    const AdmittedCall& /*call*/, const v1::DeleteBackupRequest& request) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const std::string id, ParseBackupName("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options_.directory));
  CMK_ASSIGN_OR_RETURN(const std::string own, StoreUid());
  absl::MutexLock no_restore_begins(&deletion_);
  CMK_RETURN_IF_ERROR(RequireNotRestoring(id));
  CMK_ASSIGN_OR_RETURN(const std::shared_ptr<void> lock, store.Lock());
  CMK_RETURN_IF_ERROR(store.Remove(id));
  Log(LogLevel::kInfo, "backup_deleted", {{"backup", id}});
  NoteNewest(store.Tidy(own, std::numeric_limits<size_t>::max()));
  return google::protobuf::Empty();
}

absl::StatusOr<google::longrunning::Operation> ManageBackups::Restore(
    const AdmittedCall& /*call*/, const v1::RestoreRequest& request) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const std::string id, ParseBackupName("name", request.name()));
  CMK_RETURN_IF_ERROR(CheckRestore(options_, id, {data_dir_, shards_.shard_count()}));
  absl::MutexLock nothing_else_begins(&starting_);
  CMK_RETURN_IF_ERROR(
      RequireNone(kRestoreKind, "a backup is being restored into this server already"));
  CMK_RETURN_IF_ERROR(RequireNone(kBackup, "a backup of this server is being taken"));
  CMK_RETURN_IF_ERROR(RequireEmpty());
  return operations_.StartOfServer(kRestoreKind, id);
}

absl::StatusOr<google::longrunning::Operation> ManageBackups::Verify(
    const AdmittedCall& /*call*/, const v1::VerifyIntegrityRequest& request) {
  std::string id;
  if (!request.backup().empty()) {
    CMK_RETURN_IF_ERROR(RequireDirectory());
    CMK_ASSIGN_OR_RETURN(id, ParseBackupName("backup", request.backup()));
    CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options_.directory));
    CMK_RETURN_IF_ERROR(store.Read(id).status());
  }
  return operations_.StartLookOfServer(kVerify, id);
}

absl::Status ManageBackups::KeepReceipt(const storage::v1::HubRecord& purged) const {
  if (options_.directory.empty()) return absl::OkStatus();
  return PurgeReceipts(options_).Keep(purged);
}

ManageBackups::Result ManageBackups::RunBackup(OperationRun& run) {
  CMK_RETURN_IF_ERROR(RequireDirectory());
  CMK_ASSIGN_OR_RETURN(const std::string own, StoreUid());
  const absl::StatusOr<BackupManifest> manifest =
      TakeBackup(shards_, options_, data_dir_, run.argument(), clock_, WatchOf(run));
  if (HasReason(manifest.status(), "STORE_CORRUPT")) stats_.integrity_errors.Add(1);
  CMK_RETURN_IF_ERROR(manifest.status());
  NoteNewest(*manifest);
  // Operations are kept, and keys may be many.
  return std::make_unique<v1::Backup>(ToBackup(*manifest, own, /*with_keys=*/false));
}

ManageBackups::Result ManageBackups::RunVerify(OperationRun& run) {
  auto found = std::make_unique<v1::VerifyIntegrityResult>();
  if (!run.argument().empty()) {
    CMK_ASSIGN_OR_RETURN(*found, VerifyBackup(options_, run.argument(), clock_, WatchOf(run)));
    stats_.integrity_errors.Add(found->finding_count());
    return found;
  }
  const absl::Status ended =
      VerifyServed(shards_, indexes_.files, data_dir_, clock_, WatchOf(run), *found);
  stats_.integrity_errors.Add(found->finding_count());
  if (ended.ok()) return found;
  // What was found before is told; a run that was cut off has it in the log.
  if (found->finding_count() == 0 || absl::IsCancelled(ended)) return ended;
  NoteEarlyEnd(ended, *found);
  return found;
}

}  // namespace cmkstore::service
