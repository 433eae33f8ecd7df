#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace cmkstore {

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

bool WriteFileDurably(const std::string& path, absl::string_view content) {
  const std::string next = path + ".new";
  const int file = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool written =
      write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(file) == 0;
  close(file);
  if (!written || std::rename(next.c_str(), path.c_str()) != 0) return false;
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const int parent = open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (parent < 0) return false;
  const bool synced = fsync(parent) == 0;
  close(parent);
  return synced;
}

}  // namespace cmkstore
