#include "store/rocksdb/store_log.h"

#include <cstdio>

#include "base/log.h"

namespace cmkstore::store {
namespace {

constexpr size_t kMaxLineBytes = 512;

}  // namespace

void StoreLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
  char line[kMaxLineBytes];
  std::vsnprintf(line, sizeof(line), format, arguments);
  const bool error = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
  Log(error ? LogLevel::kError : LogLevel::kWarning, "store_log", {{"detail", line}});
}

}  // namespace cmkstore::store
