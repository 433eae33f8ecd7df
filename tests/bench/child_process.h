#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cmkstore::bench {

// A program that runs beside this one, and not longer.
class ChildProcess {
 public:
  // Its output goes to the end of `log_file`. Returns once `ready_file`, which is removed before,
  // is there and not empty. Errors: INTERNAL when the program ends first or takes longer than 30 s.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const std::vector<std::string>& command, const std::string& log_file,
      const std::string& ready_file);
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // Asks it to end (SIGTERM) and waits; after 30 s, ends it.
  void Stop();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  bool Ended();
  pid_t pid_;
};

// Processor time that a process has used so far.
absl::Duration ProcessorTime(pid_t pid);
// A line of /proc/PID/status in KiB: "VmRSS", "VmHWM"; 0 when there is none.
int64_t MemoryKib(pid_t pid, const std::string& name);

}  // namespace cmkstore::bench
