#include "base/private_directory.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace cmkstore {

absl::Status MakePrivateDirectory(const std::string& path) {
  std::filesystem::path directory = path;
  if (!directory.has_filename()) directory = directory.parent_path();  // "data/"
  std::error_code ignored;
  if (std::filesystem::is_directory(directory, ignored)) return absl::OkStatus();
  std::filesystem::create_directories(directory.parent_path(), ignored);
  if (mkdir(directory.c_str(), 0700) == 0) return absl::OkStatus();
  const int error = errno;
  if (std::filesystem::is_directory(directory, ignored)) return absl::OkStatus();
  return StateInvalid(absl::StrCat(
      "the directory ", path,
      " cannot be made: ", error == EEXIST ? "a file has that name" : std::strerror(error)));
}

}  // namespace cmkstore
