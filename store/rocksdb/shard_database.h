#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "store/rocksdb/shard_options.h"

namespace cmkstore::store {

using DatabasePtr = std::shared_ptr<rocksdb::DB>;

// The RocksDB of one shard, which can be opened anew under those who read it.
//
// Opening anew is how a shard goes on after its disk failed. DB::Resume is not: in RocksDB 7.8.3 a
// flush that was scheduled when the error came is lost, and Resume waits for it for ever; and after
// one Resume, Flush no longer waits for what it flushes (docs/adr/0004-commit-thread.md).
//
// Thread-safe; Reopen from one thread only.
class ShardDatabase {
 public:
  // Errors: STORE_CORRUPT, STORE_FULL, STORE_BUSY, STATE_INVALID (in use by another process).
  static absl::StatusOr<std::unique_ptr<ShardDatabase>> Open(const std::string& path,
                                                             const ShardResources& resources);

  // Keep it for one read and no longer. Errors: STORE_BUSY while there is none.
  absl::StatusOr<DatabasePtr> Use() const;

  // Closes the database and opens it again without the log records behind `acknowledged`: of a
  // write that failed it is not known whether it is in the log, and it was refused. Reads go on
  // from a database for reading only, opened beside it first; while the disk still fails it stays.
  //
  // Blocks until all reads in flight have ended, at most kDrainTime. Errors: as Open.
  absl::Status Reopen(rocksdb::SequenceNumber acknowledged);

  static constexpr absl::Duration kDrainTime = absl::Seconds(10);

 private:
  ShardDatabase(std::string path, const ShardResources& resources, DatabasePtr db)
      : path_(std::move(path)), resources_(resources), db_(std::move(db)) {}
  // What is used from now on, instead of what `retired_` is then.
  void Retire(rocksdb::DB* successor);
  // Whether nobody uses what is retired any more, and it is closed.
  bool CloseRetired();

  const std::string path_;
  const ShardResources resources_;
  mutable absl::Mutex mutex_;
  DatabasePtr db_ ABSL_GUARDED_BY(mutex_);  // null: none

  // Of the thread that reopens.
  bool reading_only_ = false;  // so is db_
  DatabasePtr retired_;
};

}  // namespace cmkstore::store
