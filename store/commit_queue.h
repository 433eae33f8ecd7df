#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "store/engine.h"

namespace cmkstore::store {

struct CommitLimits {
  size_t max_queued_writes = 16'384;
  size_t max_queued_bytes = 64u << 20;
  size_t max_batch_bytes = 8u << 20;  // of one run; a larger write set goes alone
};

// One change of one partition on its way to be committed.
struct QueuedCommit {
  std::string prefix;
  WriteSet writes;
  Engine::Done done;
  // What the commit thread is to do in place of a commit, with no other commit at the same time.
  std::function<absl::Status()> alone = nullptr;
};

// The bounded queue of an engine and the one thread that commits from it.
//
// The one thread is what makes preconditions atomic without locks and groups commits without
// tuning: all that queued while a sync was under way goes into the next run. `commit` gets either
// write sets in the order of Push or one task alone, and must call every `done` of its run. The
// destructor commits what is queued and joins.
//
// Thread-safe.
class CommitQueue {
 public:
  using Run = std::span<QueuedCommit>;

  CommitQueue(const CommitLimits& limits, std::function<void(Run)> commit);
  ~CommitQueue();
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  // Without room it calls `done` with STORE_BUSY before it returns.
  void Push(QueuedCommit one);
  // Write sets and bytes that wait.
  std::pair<size_t, size_t> Depth() const;
  // Pushes a task, and waits until it has run behind all that was pushed before. Not from the
  // queue's thread.
  absl::Status RunAlone(std::function<absl::Status()> task);

 private:
  void Loop();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopped_ || !queue_.empty(); }

  const CommitLimits limits_;
  const std::function<void(Run)> commit_;
  mutable absl::Mutex mutex_;
  std::vector<QueuedCommit> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace cmkstore::store
