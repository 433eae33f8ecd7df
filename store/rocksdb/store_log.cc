#include "store/rocksdb/store_log.h"

#include <cstdio>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/log.h"

namespace cmkstore::store {
namespace {

constexpr size_t kMaxLineBytes = 512;

}  // namespace

void StoreLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
  // Each checkpoint counts its own holds of the files, and warns of it: nothing is wrong.
  if (absl::StrContains(format, "File Deletions ")) return;
  char line[kMaxLineBytes];
  std::vsnprintf(line, sizeof(line), format, arguments);
  const bool error = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
  const absl::string_view text = absl::StripTrailingAsciiWhitespace(line);
  Log(error ? LogLevel::kError : LogLevel::kWarning, "store_log", {{"detail", std::string(text)}});
}

}  // namespace cmkstore::store
