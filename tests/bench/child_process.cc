#include "tests/bench/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"

namespace cmkstore::bench {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);

[[noreturn]] void Become(const std::vector<std::string>& command, const std::string& log_file) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::vector<std::string>& command, const std::string& log_file,
    const std::string& ready_file) {
  std::error_code ignored;
  std::filesystem::remove(ready_file, ignored);
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError("cannot start another process");
  if (pid == 0) Become(command, log_file);
  std::unique_ptr<ChildProcess> child(new ChildProcess(pid));
  const absl::Time give_up = absl::Now() + kPatience;
  while (ReadFile(ready_file).value_or("").empty()) {
    if (child->Ended() || absl::Now() > give_up) {
      return absl::InternalError(absl::StrCat(command[0], " does not come up; it said:\n",
                                              ReadFile(log_file).value_or("nothing")));
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  return child;
}

ChildProcess::~ChildProcess() { Stop(); }

bool ChildProcess::Ended() {
  int status = 0;
  if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

void ChildProcess::Stop() {
  if (pid_ > 0) kill(pid_, SIGTERM);
  const absl::Time give_up = absl::Now() + kPatience;
  while (!Ended()) {
    if (absl::Now() > give_up) kill(pid_, SIGKILL);
    absl::SleepFor(absl::Milliseconds(2));
  }
}

absl::Duration ProcessorTime(pid_t pid) {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    return absl::ZeroDuration();
  }
  return absl::DurationFromTimespec(used);
}

int64_t MemoryKib(pid_t pid, const std::string& name) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, name + ":")) continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() > 1 && absl::SimpleAtoi(words[1], &kib)) return kib;
  }
  return 0;
}

}  // namespace cmkstore::bench
