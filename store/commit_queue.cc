#include "store/commit_queue.h"

#include <pthread.h>

#include <utility>

#include "absl/synchronization/notification.h"
#include "base/errors.h"

namespace cmkstore::store {
namespace {

// How many of `rest` go into the next run: at least one; a task goes alone.
size_t RunLength(std::span<const QueuedCommit> rest, size_t max_bytes) {
  if (rest.front().alone) return 1;
  size_t bytes = rest.front().writes.size_bytes();
  size_t length = 1;
  for (; length < rest.size() && !rest[length].alone; ++length) {
    bytes += rest[length].writes.size_bytes();
    if (bytes > max_bytes) break;
  }
  return length;
}

}  // namespace

CommitQueue::CommitQueue(const CommitLimits& limits, std::function<void(Run)> commit)
    : limits_(limits), commit_(std::move(commit)), thread_([this] { Loop(); }) {
  pthread_setname_np(thread_.native_handle(), "commit");
}

CommitQueue::~CommitQueue() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  thread_.join();
}

void CommitQueue::Push(QueuedCommit one) {
  {
    absl::MutexLock lock(&mutex_);
    const size_t bytes = one.writes.size_bytes();
    const bool room = queue_.size() < limits_.max_queued_writes &&
                      queued_bytes_ + bytes <= limits_.max_queued_bytes;
    if (room && !stopped_) {
      queued_bytes_ += bytes;
      queue_.push_back(std::move(one));
      return;
    }
  }
  one.done(StoreBusy());
}

std::pair<size_t, size_t> CommitQueue::Depth() const {
  absl::MutexLock lock(&mutex_);
  return {queue_.size(), queued_bytes_};
}

absl::Status CommitQueue::RunAlone(std::function<absl::Status()> task) {
  absl::Notification finished;
  absl::Status status;
  Engine::Done done = [&](const absl::StatusOr<Sequence>& result) {
    status = result.status();
    finished.Notify();
  };
  Push({"", WriteSet(), std::move(done), std::move(task)});
  finished.WaitForNotification();
  return status;
}

void CommitQueue::Loop() {
  std::vector<QueuedCommit> taken;
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &CommitQueue::HasWork));
      if (queue_.empty()) return;
      taken.swap(queue_);
      queued_bytes_ = 0;
    }
    for (Run rest(taken); !rest.empty();) {
      const size_t length = RunLength(rest, limits_.max_batch_bytes);
      commit_(rest.first(length));
      rest = rest.subspan(length);
    }
    taken.clear();
  }
}

}  // namespace cmkstore::store
