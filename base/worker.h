#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore {

struct WorkerOptions {
  std::string name;  // thread name, at most 15 bytes are kept
  size_t threads = 1;
  size_t max_queued = 1024;  // tasks waiting; one more is refused
  // Of one party: its tasks that run at once, and those that wait. 0: as many as of all.
  size_t threads_of_one = 0;
  size_t max_queued_of_one = 0;
  // How far the threads give way to others when processors are scarce, as nice(2): 0 to 19.
  int nice = 0;
};

// A bounded queue of tasks run by a fixed number of threads: where work that blocks (a vault call,
// an index build) goes, so that no queue thread of the server does.
//
// Parties, such as tenants, take turns: each has a line of its own, first come, first served, and
// whoever has many tasks, or tasks that hang, keeps the others waiting for no more than one of its
// own per turn.
//
// Thread-safe. Stop runs what is queued, joins, and must not be called from a task.
class Worker {
 public:
  explicit Worker(WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False when the queue or the party's line is full or Stop has been called; the task was then not
  // taken.
  [[nodiscard]] bool TryRun(std::function<void()> task) { return TryRunFor("", std::move(task)); }
  [[nodiscard]] bool TryRunFor(const std::string& party, std::function<void()> task);
  void Stop();

 private:
  struct Line {
    std::deque<std::function<void()>> waiting;
    size_t running = 0;
    bool in_turn = false;  // stands in turns_
  };

  void Loop();
  // The next task and whose it is; none once all has run after Stop.
  std::function<void()> AwaitNext(std::string& party);
  void Ended(const std::string& party);
  bool HasTurnOrEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives the line a place at the end of turns_ if it has a task that may run and no place yet.
  void TakeTurn(const std::string& party, Line& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WorkerOptions options_;
  absl::Mutex mutex_;
  // Of parties with a task that waits or runs.
  absl::flat_hash_map<std::string, Line> lines_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> turns_ ABSL_GUARDED_BY(mutex_);
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace cmkstore
