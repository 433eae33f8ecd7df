#include "store/rocksdb/rocks_status.h"

#include <rocksdb/status.h>

#include "base/errors.h"
#include "base/log.h"

namespace cmkstore::store {

absl::Status FromRocks(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  Log(LogLevel::kError, "store_error", {{"detail", status.ToString()}});
  if (status.IsNoSpace()) return StoreFull();
  if (status.IsCorruption()) return StoreCorrupt("a checksum does not match; see the log");
  if (status.IsIOError()) return StoreCorrupt("the disk gave an error; see the log");
  return StoreBusy();
}

absl::Status FromRocksWrite(const rocksdb::Status& status) {
  const absl::Status sorted = FromRocks(status);
  return status.IsIOError() && !status.IsNoSpace() ? StoreStalled() : sorted;
}

}  // namespace cmkstore::store
