#include "service/backup/checked_file.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "service/backup/backup_errors.h"

namespace cmkstore::service {
namespace {

constexpr size_t kPieceBytes = 1u << 20;
constexpr absl::string_view kChecksum = "sha256 ";

class OpenFile {
 public:
  OpenFile(const std::string& path, int flags)
      : file_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~OpenFile() {
    if (file_ >= 0) close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  int get() const { return file_; }

 private:
  const int file_;
};

// Reads a file piece by piece.
absl::StatusOr<FileDigest> Read(const OpenFile& file,
                                const std::function<absl::Status(absl::string_view)>& take) {
  if (file.get() < 0) return BackupStorageFailed("a file cannot be opened");
  std::string piece(kPieceBytes, '\0');
  crypto::Sha256Stream stream;
  FileDigest digest;
  ssize_t got = 0;
  while ((got = read(file.get(), piece.data(), piece.size())) > 0) {
    const absl::string_view bytes(piece.data(), static_cast<size_t>(got));
    stream.Add(bytes);
    digest.size += bytes.size();
    CMK_RETURN_IF_ERROR(take(bytes));
  }
  if (got < 0) return BackupStorageFailed("a file cannot be read");
  digest.sha256 = absl::BytesToHexString(stream.Finish());
  return digest;
}

}  // namespace

absl::Status WriteChecked(const std::string& path, const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) {
    return InvariantBroken("a manifest that is no JSON");
  }
  text.push_back('\n');
  absl::StrAppend(&text, kChecksum, absl::BytesToHexString(crypto::Sha256(text)), "\n");
  if (!WriteFileDurably(path, text)) return BackupStorageFailed("a file cannot be written");
  return absl::OkStatus();
}

absl::Status ReadChecked(const std::string& path, google::protobuf::Message& message) {
  const std::optional<std::string> file = ReadFile(path);
  if (!file.has_value()) return BackupCorrupt("a file is missing or cannot be read");
  const size_t end = file->find('\n');
  if (end == std::string::npos) return BackupCorrupt("a file was cut");
  const std::string text = file->substr(0, end + 1);
  if (file->substr(end + 1) !=
      absl::StrCat(kChecksum, absl::BytesToHexString(crypto::Sha256(text)), "\n")) {
    return BackupCorrupt("the checksum of a file does not match");
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(text, &message, options).ok()) {
    return BackupCorrupt("a file does not parse");
  }
  return absl::OkStatus();
}

absl::StatusOr<FileDigest> DigestOf(const std::string& path, bool from_disk,
                                    const store::PaceFunction& pace) {
  const OpenFile file(path, O_RDONLY);
  if (from_disk && file.get() >= 0) posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  return Read(file, [&](absl::string_view bytes) { return pace(bytes.size()); });
}

absl::StatusOr<FileDigest> CopyDurably(const std::string& from, const std::string& to,
                                       const store::PaceFunction& pace) {
  const OpenFile source(from, O_RDONLY);
  const OpenFile target(to, O_WRONLY | O_CREAT | O_TRUNC);
  if (target.get() < 0) return BackupStorageFailed("a file cannot be made");
  CMK_ASSIGN_OR_RETURN(FileDigest digest,
                       Read(source, [&](absl::string_view bytes) -> absl::Status {
                         const size_t size = bytes.size();
                         while (!bytes.empty()) {
                           const ssize_t written = write(target.get(), bytes.data(), bytes.size());
                           if (written <= 0)
                             return BackupStorageFailed("a file cannot be written; is there room?");
                           bytes.remove_prefix(static_cast<size_t>(written));
                         }
                         return pace(size);
                       }));
  if (fsync(target.get()) != 0) return BackupStorageFailed("a file cannot be synced");
  return digest;
}

absl::Status SyncDirectory(const std::string& path) {
  if (!cmkstore::SyncDirectory(path)) return BackupStorageFailed("a directory cannot be synced");
  return absl::OkStatus();
}

}  // namespace cmkstore::service
