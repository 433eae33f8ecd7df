#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cmkstore/storage/v1/backup.pb.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "service/backup/backup_options.h"

namespace cmkstore::service {

// Which hubs were purged, kept apart from every backup: a restore asks here, so that a hub purged
// after the backup was taken does not come back.
//
// One file for each hub, UID.json, in a directory of its own that no backup contains and no pruning
// touches. Thread-safe as the file system is. Errors: BACKUP_STORAGE_FAILED, BACKUP_CORRUPT.
class PurgeReceipts {
 public:
  explicit PurgeReceipts(const BackupOptions& options)
      : directory_(options.receipts()), is_configured_(!options.receipts_directory.empty()) {}

  // Makes the directory within that of the backups if it is not there. One that is configured must
  // be there: made anew where it is not mounted, it would say that no hub was ever purged. Every
  // backup asks.
  absl::Status Prepare() const;
  // That the hub of `record` is purged. Does nothing when that is known. Prepares.
  absl::Status Keep(const storage::v1::HubRecord& record) const;
  // By uid, 16 bytes. A receipt that does not read is an error: what it says is not known. Errors:
  // also STATE_INVALID when there is no directory.
  absl::StatusOr<std::map<std::string, storage::v1::PurgedHub>> ReadAll() const;

 private:
  std::string directory_;
  bool is_configured_;
};

}  // namespace cmkstore::service
