#include "store/rocksdb/table_files.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/metadata.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/rocksdb/shard.h"

namespace cmkstore::store {
namespace {

constexpr size_t kReadBytes = 256u << 10;

enum class Look { kGood, kDamaged, kGone };

absl::StatusOr<std::vector<rocksdb::LiveFileMetaData>> LiveFiles(const Shard& shard) {
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard.db());
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  return files;
}

absl::StatusOr<Look> LookAt(const rocksdb::LiveFileMetaData& file, const PaceFunction& pace,
                            uint64_t& bytes) {
  rocksdb::FileChecksumGenContext context;
  context.file_name = file.relative_filename;
  context.requested_checksum_func_name = file.file_checksum_func_name;
  const std::unique_ptr<rocksdb::FileChecksumGenerator> generator =
      rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator(context);
  if (generator == nullptr) return Look::kDamaged;  // no name of a checksum that we ever wrote
  const std::string path = absl::StrCat(file.directory, "/", file.relative_filename);
  const int opened = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened < 0) return errno == ENOENT ? Look::kGone : Look::kDamaged;
  // What is only looked at must not push out of memory what is read.
  posix_fadvise(opened, 0, 0, POSIX_FADV_DONTNEED);
  std::string buffer(kReadBytes, '\0');
  ssize_t got = 0;
  absl::Status go_on;
  while (go_on.ok() && (got = read(opened, buffer.data(), buffer.size())) > 0) {
    generator->Update(buffer.data(), static_cast<size_t>(got));
    bytes += static_cast<uint64_t>(got);
    go_on = pace(static_cast<uint64_t>(got));
  }
  posix_fadvise(opened, 0, 0, POSIX_FADV_DONTNEED);
  close(opened);
  CMK_RETURN_IF_ERROR(go_on);
  generator->Finalize();
  return got == 0 && generator->GetChecksum() == file.file_checksum ? Look::kGood : Look::kDamaged;
}

bool IsLive(const std::vector<rocksdb::LiveFileMetaData>& files, const std::string& name) {
  return std::any_of(files.begin(), files.end(),
                     [&](const auto& file) { return file.relative_filename == name; });
}

}  // namespace

absl::Status VerifyTableFiles(uint32_t number, const Shard& shard, const PaceFunction& pace,
                              FileCheck& check) {
  CMK_ASSIGN_OR_RETURN(const auto files, LiveFiles(shard));
  for (const rocksdb::LiveFileMetaData& file : files) {
    CMK_ASSIGN_OR_RETURN(Look look, LookAt(file, pace, check.bytes));
    if (look == Look::kGone) {
      CMK_ASSIGN_OR_RETURN(const auto now, LiveFiles(shard));
      if (IsLive(now, file.relative_filename)) look = Look::kDamaged;
    }
    ++check.files;
    if (look != Look::kDamaged) continue;
    check.damaged.push_back(absl::StrCat("shard ", number, " file ", file.relative_filename));
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::store
