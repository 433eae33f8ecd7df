#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "cmkstore/storage/v1/backup.pb.h"
#include "service/backup/backup_options.h"
#include "store/rocksdb/shard_set.h"

namespace cmkstore::service {

// How work that takes long is watched, and stopped.
struct WorkWatch {
  std::function<absl::Status()> go_on;                          // an error ends the work with it
  std::function<void(uint64_t done, uint64_t total)> progress;  // bytes
};

// Makes the backup `id` of all shards (docs/adr/0012-backup.md):
//
//   1  cuts: all shards as they are at one moment, linked into the data directory
//   2  opens the cut and lists what it needs: hubs, key versions; keeps the receipts of its purges
//   3  reads each file for its SHA-256, which is all of an old one; one that the directory does not
//      have is read again, before a byte is written, to compare it with the store's own checksums,
//      and a third time to be copied, which must give the same SHA-256
//   4  reads everything back from the disk and compares it; what a backup before had written and is
//      rotten is written again
//   5  writes the manifest; removes what is older than the backups to keep
//
// One that fails removes what it has written: a disk that it has filled is free for the next one.
//
// May be repeated with the same id after a crash: what is there already is not written again.
//
// Blocking. Errors: BACKUP_STORAGE_FAILED, BACKUP_CORRUPT (what was written does not read back),
// STATE_INVALID (somebody else writes into the directory), STORE_CORRUPT (a table file of the store
// is damaged: no backup is made, those before it stay), those of ShardSet::Cut, that of `go_on`.
absl::StatusOr<storage::v1::BackupManifest> TakeBackup(store::ShardSet& shards,
                                                       const BackupOptions& options,
                                                       const std::string& data_dir,
                                                       const std::string& id, Clock& clock,
                                                       const WorkWatch& watch);

}  // namespace cmkstore::service
