#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace cmkstore::service {

// The directory of backups, or of purge receipts, does not do what it must. Retry when it is
// mended.
inline absl::Status BackupStorageFailed(absl::string_view what) {
  return MakeError(absl::StatusCode::kUnavailable, "BACKUP_STORAGE_FAILED",
                   absl::StrCat("the backup directory fails: ", what));
}

// What was written is not what is there. Take another backup.
inline absl::Status BackupCorrupt(absl::string_view what) {
  return MakeError(absl::StatusCode::kDataLoss, "BACKUP_CORRUPT",
                   absl::StrCat("the backup is damaged: ", what));
}

}  // namespace cmkstore::service
