#pragma once

#include <coroutine>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "base/errors.h"
#include "base/worker.h"
#include "service/queue_executor.h"

// How a coroutine waits for the completion-style interfaces below service/, and how blocking code
// does.

namespace cmkstore::service {

template <typename T>
using Completion = std::function<void(absl::StatusOr<T>)>;

// co_await Completed<T>(executor, [&](Completion<T> done) { engine.Apply(…, done); }) gives the
// StatusOr<T>. `done` may run on any thread, also before `start` returns; the coroutine goes on on
// its queue's thread.
template <typename T, typename Start>
class Completed {
 public:
  Completed(QueueExecutor& executor, Start start) : executor_(executor), start_(std::move(start)) {}

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    start_(Completion<T>([this, handle](absl::StatusOr<T> result) {
      result_.emplace(std::move(result));
      executor_.Resume(handle);
    }));
  }
  absl::StatusOr<T> await_resume() { return std::move(*result_); }

 private:
  QueueExecutor& executor_;
  Start start_;
  std::optional<absl::StatusOr<T>> result_;
};

template <typename T, typename Start>
Completed<T, Start> AwaitCompletion(QueueExecutor& executor, Start start) {
  return Completed<T, Start>(executor, std::move(start));
}

// The same for a thread that may block: a worker's.
template <typename T, typename Start>
absl::StatusOr<T> BlockOnCompletion(Start start) {
  absl::Notification finished;
  std::optional<absl::StatusOr<T>> result;
  start(Completion<T>([&](absl::StatusOr<T> value) {
    result.emplace(std::move(value));
    finished.Notify();
  }));
  finished.WaitForNotification();
  return std::move(*result);
}

// co_await Requeued(executor) goes on after what else is ready on the queue: for a loop that never
// has to wait.
class Requeued {
 public:
  explicit Requeued(QueueExecutor& executor) : executor_(executor) {}

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) { executor_.Resume(handle); }
  void await_resume() {}

 private:
  QueueExecutor& executor_;
};

// co_await OnWorker(worker, party) continues on a thread of `worker` when it is the party's turn;
// blocking is allowed there. Gives STORE_BUSY, on the calling thread, when its line is full.
class OnWorker {
 public:
  OnWorker(Worker& worker, std::string party) : worker_(worker), party_(std::move(party)) {}

  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    if (worker_.TryRunFor(party_, [handle] { handle.resume(); })) return true;
    status_ = StoreBusy();
    return false;
  }
  absl::Status await_resume() { return status_; }

 private:
  Worker& worker_;
  const std::string party_;
  absl::Status status_;
};

}  // namespace cmkstore::service
