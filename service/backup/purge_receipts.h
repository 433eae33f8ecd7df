#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cmkstore/storage/v1/backup.pb.h"
#include "cmkstore/storage/v1/records.pb.h"

namespace cmkstore::service {

// Which hubs were purged, kept apart from every backup: a restore asks here, so that a hub purged
// after the backup was taken does not come back.
//
// One file for each hub, UID.json, in a directory of its own that no backup contains and no pruning
// touches. Thread-safe as the file system is. Errors: BACKUP_STORAGE_FAILED, BACKUP_CORRUPT.
class PurgeReceipts {
 public:
  explicit PurgeReceipts(std::string directory) : directory_(std::move(directory)) {}

  // Makes the directory if it is not there, but not the one that it lies in. Every backup does.
  absl::Status Prepare() const;
  // That the hub of `record` is purged. Does nothing when that is known. Prepares.
  absl::Status Keep(const storage::v1::HubRecord& record) const;
  // By uid, 16 bytes. A receipt that does not read is an error: what it says is not known. Errors:
  // also STATE_INVALID when there is no directory.
  absl::StatusOr<std::map<std::string, storage::v1::PurgedHub>> ReadAll() const;

 private:
  std::string directory_;
};

}  // namespace cmkstore::service
