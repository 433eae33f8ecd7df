#include "search/sealed_vfs.h"

#include <cerrno>
#include <cstdio>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::search {
namespace {

constexpr int kSectorBytes = 4096;

// What SQLite allocates for a file of ours; the real file's memory follows it.
struct FileSlot {
  sqlite3_file base;
  SealedFile* file;
};

SealedFile& FileOf(sqlite3_file* file) { return *reinterpret_cast<FileSlot*>(file)->file; }
sqlite3_file* RealOf(sqlite3_file* file) { return FileOf(file).real(); }

int Close(sqlite3_file* file) {
  auto* slot = reinterpret_cast<FileSlot*>(file);
  const int result = slot->file->Close();
  delete std::exchange(slot->file, nullptr);
  return result;
}
int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  return FileOf(file).Read({static_cast<uint8_t*>(out), static_cast<size_t>(size)}, offset);
}
int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  return FileOf(file).Write({static_cast<const uint8_t*>(data), static_cast<size_t>(size)}, offset);
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) { return FileOf(file).Truncate(size); }
int Sync(sqlite3_file* file, int flags) { return FileOf(file).Sync(flags); }
int Size(sqlite3_file* file, sqlite3_int64* size) {
  int64_t logical = 0;
  const int result = FileOf(file).Size(&logical);
  *size = logical;
  return result;
}
int Lock(sqlite3_file* file, int level) {
  return RealOf(file)->pMethods->xLock(RealOf(file), level);
}
int Unlock(sqlite3_file* file, int level) {
  return RealOf(file)->pMethods->xUnlock(RealOf(file), level);
}
int CheckReservedLock(sqlite3_file* file, int* out) {
  return RealOf(file)->pMethods->xCheckReservedLock(RealOf(file), out);
}
int FileControl(sqlite3_file* file, int operation, void* argument) {
  if (operation != SQLITE_FCNTL_LAST_ERRNO) return SQLITE_NOTFOUND;
  return RealOf(file)->pMethods->xFileControl(RealOf(file), operation, argument);
}
int SectorSize(sqlite3_file*) { return kSectorBytes; }
int DeviceCharacteristics(sqlite3_file*) { return 0; }

// Version 1: no shared memory, no memory-mapped pages.
constexpr sqlite3_io_methods kMethods = {
    .iVersion = 1,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = Size,
    .xLock = Lock,
    .xUnlock = Unlock,
    .xCheckReservedLock = CheckReservedLock,
    .xFileControl = FileControl,
    .xSectorSize = SectorSize,
    .xDeviceCharacteristics = DeviceCharacteristics,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

sqlite3_vfs* Root() { return sqlite3_vfs_find(nullptr); }

}  // namespace

absl::StatusOr<std::unique_ptr<SealedVfs>> SealedVfs::Create(HubUid hub,
                                                             const crypto::SecretBytes& key) {
  CMK_ASSIGN_OR_RETURN(std::unique_ptr<crypto::XaesKey> xaes, crypto::XaesKey::Create(key));
  return std::unique_ptr<SealedVfs>(new SealedVfs(hub, std::move(xaes)));
}

SealedVfs::SealedVfs(HubUid hub, std::unique_ptr<crypto::XaesKey> key)
    : name_(absl::StrCat("cmkstore-sealed-", absl::Hex(reinterpret_cast<uintptr_t>(this)))),
      key_(std::move(key)),
      context_{hub, key_.get(), &random_},
      root_(Root()) {
  vfs_.iVersion = 1;
  vfs_.szOsFile = static_cast<int>(sizeof(FileSlot)) + root_->szOsFile;
  vfs_.mxPathname = root_->mxPathname;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = OpenFile;
  vfs_.xDelete = [](sqlite3_vfs*, const char* path, int sync) {
    return Root()->xDelete(Root(), path, sync);
  };
  vfs_.xAccess = [](sqlite3_vfs*, const char* path, int flags, int* out) {
    return Root()->xAccess(Root(), path, flags, out);
  };
  // As it is: the root's would put a link's target in its place, which then is opened. The root
  // itself opens no link.
  vfs_.xFullPathname = [](sqlite3_vfs*, const char* path, int size, char* out) -> int {
    const int length = std::snprintf(out, static_cast<size_t>(size), "%s", path);
    return length < size ? SQLITE_OK : SQLITE_CANTOPEN;
  };
  vfs_.xRandomness = [](sqlite3_vfs*, int size, char* out) {
    return Root()->xRandomness(Root(), size, out);
  };
  vfs_.xSleep = [](sqlite3_vfs*, int micros) { return Root()->xSleep(Root(), micros); };
  vfs_.xCurrentTime = [](sqlite3_vfs*, double* out) { return Root()->xCurrentTime(Root(), out); };
  vfs_.xGetLastError = [](sqlite3_vfs*, int size, char* out) {
    return Root()->xGetLastError(Root(), size, out);
  };
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/0);
}

SealedVfs::~SealedVfs() { sqlite3_vfs_unregister(&vfs_); }

int SealedVfs::OpenFile(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                        int* out_flags) {
  auto* self = static_cast<SealedVfs*>(vfs->pAppData);
  auto* slot = reinterpret_cast<FileSlot*>(file);
  slot->base.pMethods = nullptr;
  FileRole role;
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
    role = FileRole::kMain;
  } else if ((flags & SQLITE_OPEN_WAL) != 0) {
    role = FileRole::kLog;
  } else if ((flags & SQLITE_OPEN_MAIN_JOURNAL) != 0) {
    role = FileRole::kJournal;
  } else {
    return SQLITE_CANTOPEN;  // a temporary file would hold plaintext
  }
  auto* real = reinterpret_cast<sqlite3_file*>(slot + 1);
  const int result = self->root_->xOpen(self->root_, path, real, flags, out_flags);
  if (result != SQLITE_OK) self->context_.refusal = errno;
  if (result != SQLITE_OK) return result;
  slot->file = new SealedFile(role, real, self->context_);
  slot->base.pMethods = &kMethods;
  return SQLITE_OK;
}

}  // namespace cmkstore::search
