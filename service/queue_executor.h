#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <coroutine>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore::service {

// A tag on a completion queue.
class QueueEvent {
 public:
  virtual ~QueueEvent() = default;
  // `ok` as gRPC gives it for this kind of event. May delete this.
  virtual void Complete(bool ok) = 0;
};

// Brings suspended coroutines back to the thread that drives a completion queue. However many are
// ready at once (all writes of one commit are), the thread is woken once.
//
// Thread-safe. Nothing may be resumed after the queue was shut down. `queue` must outlive this.
class QueueExecutor final : public QueueEvent {
 public:
  explicit QueueExecutor(grpc::CompletionQueue& queue) : queue_(queue) {}

  // Resumes `coroutine` on the queue's thread, soon.
  void Resume(std::coroutine_handle<> coroutine);

  // Of the alarm: runs what is ready.
  void Complete(bool ok) override;

 private:
  grpc::CompletionQueue& queue_;
  absl::Mutex mutex_;
  std::vector<std::coroutine_handle<>> ready_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::coroutine_handle<>> running_;  // of the queue's thread; keeps its capacity
  grpc::Alarm alarms_[2] ABSL_GUARDED_BY(
      mutex_);  // in turn: one may be firing while the next is set
  unsigned next_alarm_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cmkstore::service
