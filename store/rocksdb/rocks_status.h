#pragma once

#include "absl/status/status.h"

namespace rocksdb {
class Status;
}

namespace cmkstore::store {

// Sorts an error of RocksDB into the table of reasons: STORE_FULL, STORE_CORRUPT, STORE_BUSY. The
// library's text (which may hold a path) goes to the log, not into the status.
absl::Status FromRocks(const rocksdb::Status& status);
// What callers are told of a write that failed: as FromRocks, but an error of the disk is
// STORE_BUSY, for nothing that was acknowledged is lost by it.
absl::Status FromRocksWrite(const rocksdb::Status& status);

}  // namespace cmkstore::store
