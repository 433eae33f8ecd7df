#pragma once

#include <rocksdb/env.h>

namespace cmkstore::store {

// RocksDB's own log, of which warnings and errors go into ours (`store_log`) and the rest nowhere.
//
// A file of its own would lie on the disk that it tells about. RocksDB 7.8 aborts the process, in a
// build with assertions as Debian's is, at the line after one that such a file did not take: on a
// full disk the server would die instead of serving reads.
//
// Thread-safe. Its lines name files, sizes and the store's keys, in which names are blinded.
class StoreLog final : public rocksdb::Logger {
 public:
  StoreLog() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using rocksdb::Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
};

}  // namespace cmkstore::store
