#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "service/backup/backup_options.h"
#include "service/backup/take_backup.h"
#include "store/rocksdb/shard_set.h"

namespace cmkstore::service {

// A backup on its way back, fit to be served.
struct StagedBackup {
  std::unique_ptr<store::ShardSet> shards;
  uint64_t hubs = 0;
  uint64_t purged_hubs = 0;  // left out: they were purged after the backup was taken
};

// Where a backup goes.
struct RestoreTarget {
  std::string data_dir;
  uint32_t shards = 0;
};

// That there is such a backup and that it fits. Errors: BACKUP_NOT_FOUND, BACKUP_CORRUPT,
// BACKUP_STORAGE_FAILED, FORMAT_TOO_NEW, STATE_INVALID (another number of shards, purge receipts or
// platform key missing).
absl::Status CheckRestore(const BackupOptions& options, const std::string& id,
                          const RestoreTarget& target);

// Copies the backup into the new directory `path`, comparing every checksum, and makes it fit: hubs
// that were purged since are destroyed in it, sequences go on beyond all that were ever given, the
// old server's own operations are forgotten, and the platform key of the target is tried. Errors:
// as CheckRestore, that of `go_on`.
absl::StatusOr<StagedBackup> StageBackup(const BackupOptions& options, const std::string& id,
                                         const RestoreTarget& target, const std::string& path,
                                         Clock& clock, const WorkWatch& watch);

// Restores into a data directory that no server serves from and that has no shards. All or nothing:
// the shards appear under their name when they are complete. Search indexes are not in a backup;
// those that lie there are removed, and the server builds them again. Errors: as StageBackup;
// STATE_INVALID when there are shards.
absl::StatusOr<StagedBackup> RestoreOffline(const BackupOptions& options, const std::string& id,
                                            const RestoreTarget& target, Clock& clock,
                                            const WorkWatch& watch);

// Before a server starts from the data directory: a RestoreOffline that was cut off, or still runs,
// has left it without shards, and a server would begin an empty store there. Errors: STATE_INVALID.
absl::Status CheckNoUnfinishedRestore(const std::string& data_dir);

}  // namespace cmkstore::service
