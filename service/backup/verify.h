#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "cmkstore/v1/admin_service.pb.h"
#include "search/index_set.h"
#include "service/backup/backup_options.h"
#include "service/backup/take_backup.h"
#include "store/rocksdb/shard_set.h"

namespace cmkstore::service {

// Looks at everything that the shards hold, without a key: the checksum of every table file, then
// every row of a cut of the shards (store/integrity_walk.h), and the files of the search indexes as
// far as they tell without a key. What it finds is in `result`, also when it ends with an
// error, and in the log. Blocking. Errors:
// STORE_BUSY, STORE_CORRUPT (not even a cut can be made), that of `go_on`.
absl::Status VerifyServed(store::ShardSet& shards, search::IndexSet& indexes,
                          const std::string& data_dir, Clock& clock, const WorkWatch& watch,
                          v1::VerifyIntegrityResult& result);

// Has the result say that the look behind it ended early.
void NoteEarlyEnd(const absl::Status& why, v1::VerifyIntegrityResult& result);

// Compares every file of a backup with its checksum. Errors: BACKUP_NOT_FOUND, BACKUP_CORRUPT (the
// manifest itself), BACKUP_STORAGE_FAILED, that of `go_on`.
absl::StatusOr<v1::VerifyIntegrityResult> VerifyBackup(const BackupOptions& options,
                                                       const std::string& id, Clock& clock,
                                                       const WorkWatch& watch);

}  // namespace cmkstore::service
