#include "base/private_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"

namespace cmkstore {
namespace {

// 0, or the error. Its name is on disk then: what is synced below it is found after a crash.
int MakeDirectory(const std::filesystem::path& directory, mode_t mode) {
  if (mkdir(directory.c_str(), mode) != 0) return errno;
  const std::string parent = directory.parent_path().string();
  if (SyncDirectory(parent.empty() ? "." : parent)) return 0;
  rmdir(directory.c_str());
  return EIO;
}

// As far as it can: what stands in the way is told of the directory below.
void MakeParents(const std::filesystem::path& directory) {
  const std::filesystem::path parent = directory.parent_path();
  std::error_code ignored;
  if (parent.empty() || std::filesystem::is_directory(parent, ignored)) return;
  MakeParents(parent);
  (void)MakeDirectory(parent, 0777);
}

}  // namespace

absl::Status MakePrivateDirectory(const std::string& path) {
  std::filesystem::path directory = path;
  if (!directory.has_filename()) directory = directory.parent_path();  // "data/"
  std::error_code ignored;
  if (std::filesystem::is_directory(directory, ignored)) return absl::OkStatus();
  MakeParents(directory);
  const int error = MakeDirectory(directory, 0700);
  if (error == 0 || std::filesystem::is_directory(directory, ignored)) return absl::OkStatus();
  return StateInvalid(absl::StrCat(
      "the directory ", path,
      " cannot be made: ", error == EEXIST ? "a file has that name" : std::strerror(error)));
}

}  // namespace cmkstore
