#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace cmkstore {

std::optional<std::string> ReadFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::string content;
  char part[64 << 10];
  ssize_t n = 0;
  // A directory opens, but cannot be read.
  while ((n = read(file, part, sizeof(part))) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) content.append(part, static_cast<size_t>(n));
  }
  close(file);
  if (n < 0) return std::nullopt;
  return content;
}

bool SyncDirectory(const std::string& path) {
  const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const bool synced = fsync(directory) == 0;
  close(directory);
  return synced;
}

bool WriteFileDurably(const std::string& path, absl::string_view content) {
  const std::string next = path + ".new";
  const int file = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool written =
      write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(file) == 0;
  close(file);
  if (!written || std::rename(next.c_str(), path.c_str()) != 0) {
    unlink(next.c_str());
    return false;
  }
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return SyncDirectory(directory.empty() ? "." : directory);
}

}  // namespace cmkstore
