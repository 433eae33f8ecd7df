#pragma once

#include <memory>
#include <string>

namespace cmkstore {

// One process's claim to a folder, by flock on a file in it. The claim ends with this, or with the
// process, however that ends; the file stays. Not inherited by a program that the process starts.
class FileLock {
 public:
  // Makes the file (mode 0600) if there is none. Nothing if another holds the lock, or if the file
  // cannot be opened. Never waits.
  static std::unique_ptr<FileLock> TryTake(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int file) : file_(file) {}
  const int file_;
};

}  // namespace cmkstore
