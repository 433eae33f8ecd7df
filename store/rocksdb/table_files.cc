#include "store/rocksdb/table_files.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/metadata.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "store/rocksdb/shard.h"

namespace cmkstore::store {
namespace {

constexpr size_t kReadBytes = 256u << 10;

bool IsAmong(const std::vector<TableFile>& files, const TableFile& wanted) {
  return std::any_of(files.begin(), files.end(),
                     [&](const TableFile& file) { return file.path == wanted.path; });
}

}  // namespace

absl::StatusOr<TableFileState> CompareTableFile(const TableFile& file, const PaceFunction& pace,
                                                uint64_t& bytes) {
  rocksdb::FileChecksumGenContext context;
  context.file_name = file.path;
  context.requested_checksum_func_name = file.checksum_function;
  const std::unique_ptr<rocksdb::FileChecksumGenerator> generator =
      rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator(context);
  if (generator == nullptr) return TableFileState::kDamaged;  // no checksum that we ever wrote
  const int opened = open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened < 0) {
    if (errno == ENOENT) return TableFileState::kMissing;
    if (errno == EIO) return TableFileState::kDamaged;
    // For want of a descriptor or of memory, most likely: that says nothing of the file.
    return Annotate(StoreBusy(), absl::StrCat("a table file cannot be opened: ", strerror(errno)));
  }
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
  return got == 0 && generator->GetChecksum() == file.checksum ? TableFileState::kAsWritten
                                                               : TableFileState::kDamaged;
}

absl::StatusOr<std::vector<TableFile>> ListTableFiles(uint32_t number, const Shard& shard) {
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard.db());
  std::vector<rocksdb::LiveFileMetaData> live;
  db->GetLiveFilesMetaData(&live);
  std::vector<TableFile> files;
  for (rocksdb::LiveFileMetaData& file : live) {
    files.push_back({number, absl::StrCat(file.directory, "/", file.relative_filename),
                     std::move(file.file_checksum), std::move(file.file_checksum_func_name)});
  }
  return files;
}

std::string WhatIsWrong(const TableFile& file, TableFileState state) {
  const std::filesystem::path path = file.path;
  const std::string name = (path.parent_path().filename() / path.filename()).string();
  if (state == TableFileState::kMissing) return absl::StrCat(name, " is missing");
  return absl::StrCat("the checksum of ", name, " does not match");
}

absl::Status VerifyTableFiles(uint32_t number, const Shard& shard, const PaceFunction& pace,
                              const DamageFunction& damaged, FileCheck& check) {
  CMK_ASSIGN_OR_RETURN(const std::vector<TableFile> files, ListTableFiles(number, shard));
  for (const TableFile& file : files) {
    CMK_ASSIGN_OR_RETURN(TableFileState state, CompareTableFile(file, pace, check.bytes));
    if (state == TableFileState::kMissing) {
      CMK_ASSIGN_OR_RETURN(const auto now, ListTableFiles(number, shard));
      if (!IsAmong(now, file)) state = TableFileState::kAsWritten;
    }
    ++check.files;
    if (state == TableFileState::kAsWritten) continue;
    damaged({number, WhatIsWrong(file, state)});
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::store
