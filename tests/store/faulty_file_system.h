#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

namespace cmkstore::store {

// The operating system's files behind a switch that makes writing fail, as a full or failing disk
// does. Reading goes on.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault {
    kNone,
    kFullAfterHalf,    // ENOSPC, after half of the bytes were written
    kWriteError,       // EIO
    kSyncError,        // EIO from fsync: the bytes may or may not be on the disk
    kTableWriteError,  // EIO, for tables (.sst) only
    kManifestError,    // EIO, for the MANIFEST only
  };

  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "FaultyFileSystem"; }
  void Set(Fault fault) { fault_ = fault; }
  int failures() const { return failures_; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Check(path);
    if (status.ok()) status = target()->NewWritableFile(path, options, file, debug);
    if (status.ok()) *file = std::make_unique<File>(std::move(*file), *this, path);
    return status;
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, FaultyFileSystem& disk, std::string path)
        : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk), path_(std::move(path)) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      const rocksdb::IOStatus status = disk_.Check(path_);
      if (status.ok()) return target()->Append(data, options, debug);
      if (status.IsNoSpace()) {
        target()
            ->Append(rocksdb::Slice(data.data(), data.size() / 2), options, debug)
            .PermitUncheckedError();
      }
      return status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
      const rocksdb::IOStatus status = disk_.CheckSync(path_);
      return status.ok() ? target()->Sync(options, debug) : status;
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      const rocksdb::IOStatus status = disk_.CheckSync(path_);
      return status.ok() ? target()->Fsync(options, debug) : status;
    }

   private:
    FaultyFileSystem& disk_;
    const std::string path_;
  };

  rocksdb::IOStatus Failed(rocksdb::IOStatus status) {
    ++failures_;
    return status;
  }
  rocksdb::IOStatus Check(const std::string& path) {
    const Fault fault = fault_;
    const bool is_table = path.ends_with(".sst");
    const bool is_manifest = path.find("/MANIFEST-") != std::string::npos;
    if (path.ends_with("/LOG")) return rocksdb::IOStatus::OK();
    if (fault == Fault::kFullAfterHalf) {
      // As the operating system's file system of RocksDB answers ENOSPC.
      rocksdb::IOStatus full = rocksdb::IOStatus::NoSpace("injected");
      full.SetRetryable(true);
      return Failed(std::move(full));
    }
    if (fault == Fault::kWriteError || (fault == Fault::kTableWriteError && is_table) ||
        (fault == Fault::kManifestError && is_manifest)) {
      return Failed(rocksdb::IOStatus::IOError("injected write error"));
    }
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus CheckSync(const std::string& path) {
    if (fault_ == Fault::kSyncError && !path.ends_with("/LOG")) {
      return Failed(rocksdb::IOStatus::IOError("injected sync error"));
    }
    return rocksdb::IOStatus::OK();
  }

  std::atomic<Fault> fault_ = Fault::kNone;
  std::atomic<int> failures_ = 0;
};

}  // namespace cmkstore::store
