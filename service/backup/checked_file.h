#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/rocksdb/table_files.h"

namespace cmkstore::service {

// Files that outlive the server that wrote them, and say themselves whether they are whole.

// The message as a line of JSON, and a line with its SHA-256. Replaces `path` at once or not at
// all. Errors: BACKUP_STORAGE_FAILED.
absl::Status WriteChecked(const std::string& path, const google::protobuf::Message& message);
// Errors: BACKUP_CORRUPT when it is not there or not whole. Fields of later versions are ignored.
absl::Status ReadChecked(const std::string& path, google::protobuf::Message& message);

struct FileDigest {
  uint64_t size = 0;
  std::string sha256;  // hexadecimal
};

// Of the whole file. `from_disk`: not of what memory still holds of it. Errors:
// BACKUP_STORAGE_FAILED, that of `pace`.
absl::StatusOr<FileDigest> DigestOf(const std::string& path, bool from_disk,
                                    const store::PaceFunction& pace);
// Copies a file and syncs it; the digest is of what was read. Errors: BACKUP_STORAGE_FAILED, that
// of `pace`.
absl::StatusOr<FileDigest> CopyDurably(const std::string& from, const std::string& to,
                                       const store::PaceFunction& pace);
// Makes the names in a directory durable.
absl::Status SyncDirectory(const std::string& path);

}  // namespace cmkstore::service
