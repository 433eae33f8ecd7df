#include "search/index_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/log.h"
#include "crypto/xaes.h"
#include "search/sealed_file.h"

namespace cmkstore::search {

std::optional<HubUid> HubOfIndexFile(absl::string_view name) {
  for (const absl::string_view suffix : {"-wal", "-journal"}) absl::ConsumeSuffix(&name, suffix);
  absl::ConsumeSuffix(&name, ".rebuild");
  if (!absl::ConsumeSuffix(&name, ".index")) return std::nullopt;
  const auto uid = HubUid::FromBytes(absl::HexStringToBytes(name));
  // Also not one that was written otherwise: it is not the file that would be opened.
  if (!uid.ok() || uid->ToHex() != name) return std::nullopt;
  return *uid;
}

bool IsNoPlainFile(const std::string& path) {
  std::error_code failed;
  const std::filesystem::file_status status = std::filesystem::symlink_status(path, failed);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
}

absl::Status IndexFileFailed(absl::string_view step, const std::string& path, int error) {
  const std::string why = std::generic_category().message(error);
  Log(LogLevel::kWarning, "index_file_failed",
      {{"path", path}, {"step", std::string(step)}, {"error", why}});
  if (error == ENOSPC || error == EDQUOT) return StoreFull();
  return MakeError(absl::StatusCode::kUnavailable, "STORE_BUSY",
                   absl::StrCat("a file of the search index cannot be ", step, ": ", why,
                                "; this server's log names it (index_file_failed)"));
}

std::string DamageOfIndexFile(const std::string& path) {
  std::error_code failed;
  if (IsNoPlainFile(path)) return "it is no file";
  // Made, and not written to yet: an empty index.
  const uintmax_t size = std::filesystem::file_size(path, failed);
  if (failed) return "it cannot be read";
  if (size == 0) return "";
  // What a power failure left half written is made good from the log.
  const bool log = std::filesystem::exists(absl::StrCat(path, "-wal"), failed) ||
                   std::filesystem::exists(absl::StrCat(path, "-journal"), failed);
  if (!log && size % kSealedPageBytes != 0) {
    return absl::StrCat("it has ", size, " bytes, which are no whole pages of ", kSealedPageBytes);
  }
  // Random bytes; a disk that lost the page gives zeros.
  std::array<char, crypto::kXaesNonceBytes> nonce{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(nonce.data(), nonce.size())) return "it cannot be read";
  if (std::all_of(nonce.begin(), nonce.end(), [](char c) { return c == 0; })) {
    return "its first page is not there";
  }
  return "";
}

}  // namespace cmkstore::search
