#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore {

struct WorkerOptions {
  std::string name;  // thread name, at most 15 bytes are kept
  size_t threads = 1;
  size_t max_queued = 1024;  // tasks waiting; one more is refused
  // How far the threads give way to others when processors are scarce, as nice(2): 0 to 19.
  int nice = 0;
};

// A bounded queue of tasks run by a fixed number of threads: where work that blocks (a vault call,
// an index build) goes, so that no queue thread of the server does.
//
// Thread-safe. Stop runs what is queued, joins, and must not be called from a task.
class Worker {
 public:
  explicit Worker(WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False when the queue is full or Stop has been called; the task was then not taken.
  [[nodiscard]] bool TryRun(std::function<void()> task);
  void Stop();

 private:
  void Loop();
  bool HasWorkOrStopped() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WorkerOptions options_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace cmkstore
