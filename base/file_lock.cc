#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace cmkstore {

std::unique_ptr<FileLock> FileLock::TryTake(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return nullptr;
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return nullptr;
  }
  return std::unique_ptr<FileLock>(new FileLock(file));
}

FileLock::~FileLock() { close(file_); }

}  // namespace cmkstore
