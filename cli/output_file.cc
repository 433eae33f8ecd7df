#include "cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace cmkstore::cli {
namespace {

constexpr int kMostLinks = 40;  // as many as Linux follows

// For the handler: what is to be removed, if anything.
char interrupted_path[PATH_MAX];
std::atomic<bool> is_partial{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// The default action, which ends the process, comes next: it is set again, and the signal is raised
// anew.
void RemovePartial(int signal) {
  if (is_partial.load()) unlink(interrupted_path);
  raise(signal);
}

void RemoveWhenInterrupted(const std::string& partial) {
  if (partial.size() >= sizeof(interrupted_path)) return;
  std::memcpy(interrupted_path, partial.c_str(), partial.size() + 1);
  is_partial.store(true);
  struct sigaction action = {}, before = {};
  action.sa_handler = RemovePartial;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // What is ignored, as nohup has it, stays so.
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_DFL) {
      sigaction(signal, &action, nullptr);
    }
  }
}

absl::Status CannotWrite(const std::string& path, absl::string_view why) {
  return StateInvalid(absl::StrCat("cannot write ", path, ": ", why));
}

// Where links lead, also if nothing is there yet.
std::string TargetOf(const std::string& path) {
  std::filesystem::path target = path;
  std::error_code error;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(target, error); ++i) {
    target = target.parent_path() / std::filesystem::read_symlink(target, error);
  }
  return target.string();
}

// Gives a file the mode and group of the one that it replaces. One that somebody else has put there
// does not say who reads ours, nor do we let in a group that it did not have.
bool TakeOver(int file, const struct stat& before) {
  if (before.st_uid != geteuid()) return true;
  const bool in_group = fchown(file, static_cast<uid_t>(-1), before.st_gid) == 0;
  return fchmod(file, before.st_mode & (in_group ? 0777 : 0700)) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& path) {
  struct stat there = {};
  const bool exists = stat(path.c_str(), &there) == 0;
  if (!exists && errno != ENOENT) return CannotWrite(path, std::strerror(errno));
  if (exists && S_ISDIR(there.st_mode)) return CannotWrite(path, "it is a directory");
  std::string target, partial;
  int file = -1;
  if (exists && !S_ISREG(there.st_mode)) {
    // A reader that goes away is an error like others.
    std::signal(SIGPIPE, SIG_IGN);
    file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    target = TargetOf(path);
    partial = target + ".part-XXXXXX";
    file = mkostemp(partial.data(), O_CLOEXEC);  // its owner's alone
  }
  if (file < 0) return CannotWrite(path, std::strerror(errno));
  if (!partial.empty()) RemoveWhenInterrupted(partial);
  return std::unique_ptr<OutputFile>(new OutputFile(path, target, partial, fdopen(file, "wb")));
}

OutputFile::~OutputFile() {
  if (stream_ != nullptr) std::fclose(stream_);
  if (partial_.empty()) return;
  unlink(partial_.c_str());  // nothing is there if it was kept
  is_partial.store(false);
}

void OutputFile::Write(absl::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stream_) != text.size() && error_ == 0) {
    error_ = errno;
  }
}

absl::Status OutputFile::Keep() {
  if (std::fflush(stream_) != 0 && error_ == 0) error_ = errno;
  if (error_ == 0 && !partial_.empty() && !Replace()) error_ = errno;
  if (std::fclose(stream_) != 0 && error_ == 0) error_ = errno;
  stream_ = nullptr;
  if (error_ == 0) return absl::OkStatus();
  return CannotWrite(path_, std::strerror(error_));
}

bool OutputFile::Replace() {
  struct stat before = {};
  if (stat(target_.c_str(), &before) == 0 && !TakeOver(fileno(stream_), before)) return false;
  return fsync(fileno(stream_)) == 0 && RenameDurably(partial_, target_);
}

absl::Status WriteOutputFile(const std::string& path, absl::string_view content) {
  CMK_ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file, OutputFile::Open(path));
  file->Write(content);
  return file->Keep();
}

}  // namespace cmkstore::cli
