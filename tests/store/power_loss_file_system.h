#pragma once

#include <rocksdb/file_system.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore::store {

// The operating system's files, with an account of what a loss of power would take: bytes that
// were not synced, and files and names whose directory was not.
class PowerLossFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  PowerLossFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "PowerLossFileSystem"; }

  // Syncs of files do nothing from now on, as a disk that lies, or a store that does not sync.
  void IgnoreSyncs() {
    absl::MutexLock lock(&mutex_);
    ignore_syncs_ = true;
  }
  // The power is gone: nothing reaches the disk any more.
  void Cut() {
    absl::MutexLock lock(&mutex_);
    off_ = true;
  }
  // After Cut, once nobody has the files open: makes them what the disk holds. Of what was not
  // synced some bytes from the begin of it may be there, as many as `random` says.
  void DropWhatWasNotSynced(std::mt19937_64& random) {
    absl::MutexLock lock(&mutex_);
    for (const auto& [path, file] : files_) {
      if (!std::filesystem::exists(path)) continue;
      if (!file.entry_synced) {
        std::filesystem::remove(path);
        if (file.replaced.has_value()) std::ofstream(path, std::ios::binary) << *file.replaced;
        continue;
      }
      const uint64_t unsynced = file.written - file.synced;
      const uint64_t kept = unsynced == 0 || random() % 2 == 0 ? 0 : random() % (unsynced + 1);
      std::filesystem::resize_file(
          path, std::min<uintmax_t>(file.synced + kept, std::filesystem::file_size(path)));
    }
    files_.clear();
    off_ = false;
  }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    absl::MutexLock lock(&mutex_);
    if (off_) return PowerIsOff();
    rocksdb::IOStatus status = target()->NewWritableFile(path, options, file, debug);
    if (!status.ok()) return status;
    files_[path] = {};
    *file = std::make_unique<File>(std::move(*file), *this, path);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    absl::MutexLock lock(&mutex_);
    if (off_) return PowerIsOff();
    std::optional<std::string> replaced;
    if (std::filesystem::exists(to)) {
      std::ifstream old(to, std::ios::binary);
      replaced.emplace(std::istreambuf_iterator<char>(old), std::istreambuf_iterator<char>());
    }
    rocksdb::IOStatus status = target()->RenameFile(from, to, options, debug);
    if (!status.ok()) return status;
    files_[to] = files_[from];
    files_[to].entry_synced = false;
    files_[to].replaced = std::move(replaced);
    files_.erase(from);
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    absl::MutexLock lock(&mutex_);
    if (off_) return PowerIsOff();
    files_.erase(path);
    return target()->DeleteFile(path, options, debug);
  }
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = target()->NewDirectory(path, options, directory, debug);
    if (status.ok()) *directory = std::make_unique<Directory>(std::move(*directory), *this, path);
    return status;
  }

 private:
  struct Account {
    uint64_t written = 0;
    uint64_t synced = 0;
    bool entry_synced = false;
    std::optional<std::string> replaced;  // what had the name before, until the directory is synced
  };

  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, PowerLossFileSystem& disk, std::string path)
        : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk), path_(std::move(path)) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      absl::MutexLock lock(&disk_.mutex_);
      if (disk_.off_) return PowerIsOff();
      rocksdb::IOStatus status = target()->Append(data, options, debug);
      if (status.ok()) disk_.files_[path_].written += data.size();
      return status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    // The machine stays up, so that the bytes need not really be forced out.
    rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
      absl::MutexLock lock(&disk_.mutex_);
      if (disk_.off_) return PowerIsOff();
      Account& account = disk_.files_[path_];
      if (!disk_.ignore_syncs_) account.synced = account.written;
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      return Sync(options, debug);
    }

   private:
    PowerLossFileSystem& disk_;
    const std::string path_;
  };

  class Directory final : public rocksdb::FSDirectoryWrapper {
   public:
    Directory(std::unique_ptr<rocksdb::FSDirectory> directory, PowerLossFileSystem& disk,
              const std::string& path)
        : FSDirectoryWrapper(std::move(directory)), disk_(disk), path_(path) {}

    rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
      absl::MutexLock lock(&disk_.mutex_);
      if (disk_.off_) return PowerIsOff();
      const auto here = std::filesystem::path(path_ + "/").lexically_normal().parent_path();
      for (auto& [path, account] : disk_.files_) {
        if (std::filesystem::path(path).lexically_normal().parent_path() != here) continue;
        account.entry_synced = true;
        account.replaced.reset();
      }
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options,
                                          rocksdb::IODebugContext* debug,
                                          const rocksdb::DirFsyncOptions&) override {
      return Fsync(options, debug);
    }

   private:
    PowerLossFileSystem& disk_;
    const std::string path_;
  };

  static rocksdb::IOStatus PowerIsOff() { return rocksdb::IOStatus::IOError("the power is off"); }

  absl::Mutex mutex_;
  std::map<std::string, Account> files_ ABSL_GUARDED_BY(mutex_);
  bool off_ ABSL_GUARDED_BY(mutex_) = false;
  bool ignore_syncs_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cmkstore::store
