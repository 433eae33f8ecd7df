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

bool RenameDurably(const std::string& from, const std::string& to) {
  const std::string directory = std::filesystem::path(to).parent_path().string();
  return std::rename(from.c_str(), to.c_str()) == 0 &&
         SyncDirectory(directory.empty() ? "." : directory);
}

bool WriteFileDurably(const std::string& path, absl::string_view content) {
  const std::string next = path + ".new";
  const int file = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool written =
      write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(file) == 0;
  close(file);
  if (written && RenameDurably(next, path)) return true;
  unlink(next.c_str());
  return false;
}

}  // namespace cmkstore
