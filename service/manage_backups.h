#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "cmkstore/v1/admin_service.pb.h"
#include "google/protobuf/empty.pb.h"
#include "search/index_set.h"
#include "service/backup/backup_options.h"
#include "service/backup/backup_store.h"
#include "service/backup/take_backup.h"
#include "service/hub_directory.h"
#include "service/operations.h"
#include "service/page_token.h"
#include "service/storage_quota.h"
#include "store/rocksdb/shard_set.h"
#include "store/tables.h"

namespace cmkstore::service {

// What names of backups begin with.
inline constexpr absl::string_view kBackups = "backups/";

// AdminService: backups of everything, and whether everything is whole. For operators of the
// server: who may call is in methods.cc. Blocking: for control threads. Thread-safe.
//
// Errors: STATE_INVALID (no backup directory is configured), and those of service/backup/.
class ManageBackups {
 public:
  struct Indexes {
    search::IndexSet& files;
    std::function<void(const HubEntry&)> provision;  // has one built from the documents
  };

  // All must outlive this. Adds its kinds to `operations`.
  ManageBackups(store::ShardSet& shards, BackupOptions options, std::string data_dir,
                StorageQuota& quota, Operations& operations, BackupStats& stats, Clock& clock,
                const PageTokens& tokens, Indexes indexes);

  absl::StatusOr<google::longrunning::Operation> Backup(const AdmittedCall& call,
                                                        const v1::BackupRequest& request);
  absl::StatusOr<v1::ListBackupsResponse> List(const AdmittedCall& call,
                                               const v1::ListBackupsRequest& request);
  absl::StatusOr<v1::Backup> Get(const AdmittedCall& call, const v1::GetBackupRequest& request);
  absl::StatusOr<google::protobuf::Empty> Delete(const AdmittedCall& call,
                                                 const v1::DeleteBackupRequest& request);
  absl::StatusOr<google::longrunning::Operation> Restore(const AdmittedCall& call,
                                                         const v1::RestoreRequest& request);
  absl::StatusOr<google::longrunning::Operation> Verify(const AdmittedCall& call,
                                                        const v1::VerifyIntegrityRequest& request);
  // That a hub was purged, kept apart from backups; does nothing where there are no backups.
  absl::Status KeepReceipt(const storage::v1::HubRecord& purged) const;

 private:
  using Result = absl::StatusOr<std::unique_ptr<google::protobuf::Message>>;

  absl::Status RequireDirectory() const;
  absl::StatusOr<std::string> StoreUid() const;  // as manifests have it
  void NoteNewest(const std::optional<storage::v1::BackupManifest>& newest);
  absl::StatusOr<bool> IsEmpty() const;  // of hubs
  absl::Status RequireEmpty() const;
  // By the mark no hub is created while a restore goes on.
  absl::Status MarkRestore(const std::string& backup, bool rows_copied);
  // Whether hubs of the restore that is marked have their names; also where it cannot be read.
  bool MayHaveNamedHubs() const;
  // Whether some of its hubs have names and, since it did not end well, others may be missing.
  bool IsCutOff(const storage::v1::RestoreRecord& begun) const;
  // Removes the mark where no operation goes on with it, unless it is cut off.
  absl::Status ForgetEndedRestore();
  // That no operation of this kind is under way or waits.
  absl::Status RequireNone(const std::string& kind, absl::string_view what) const;
  absl::Status RequireNotRestoring(const std::string& backup) const;
  Result RunBackup(OperationRun& run);
  Result RunRestore(OperationRun& run);
  Result RunVerify(OperationRun& run);
  static WorkWatch WatchOf(OperationRun& run);
  Result Import(OperationRun& run);
  // Does it again for as long as the store refuses it for now and the server goes on.
  absl::Status Insist(const OperationRun& run, const std::function<absl::Status()>& work);
  absl::Status ImportCatalog(const store::ShardSet& staged);
  absl::Status ImportNames(const std::vector<storage::v1::HubRecord>& records,
                           const store::ShardSet& staged);

  store::ShardSet& shards_;
  const BackupOptions options_;
  const std::string data_dir_;
  StorageQuota& quota_;
  Operations& operations_;
  BackupStats& stats_;
  Clock& clock_;
  const PageTokens& tokens_;
  const Indexes indexes_;
  absl::Mutex deletion_;  // held from a look at what is being restored to the end of a deletion
  // Held from a look at what is under way until a backup or a restore has been started beside it.
  absl::Mutex starting_;
  std::string last_id_ ABSL_GUARDED_BY(starting_);  // of the last backup that was started
};

}  // namespace cmkstore::service
