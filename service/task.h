#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"

// C++20 coroutines as handlers use them: straight-line code that gives its thread back while it
// waits for a vault or a disk sync (docs/adr/0003-coroutines.md).
//
// A Task starts when it is awaited, runs on whatever thread resumes it, and hands its value to its
// awaiter. Arguments taken by reference must outlive the co_await; they do when the caller awaits
// in one expression.

namespace cmkstore::service {

template <typename T>
class [[nodiscard]] Task {
 public:
  class promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  class promise_type {
   public:
    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept { return FinalAwaiter(); }
    template <typename U>
    void return_value(U&& value) {
      value_.emplace(std::forward<U>(value));
    }
    // Our code does not throw; what a library throws is caught at that library's edge.
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

   private:
    friend class Task;
    struct FinalAwaiter {
      bool await_ready() noexcept { return false; }
      void await_suspend(Handle self) noexcept {
        promise_type& promise = self.promise();
        const std::coroutine_handle<> continuation = promise.continuation_;
        if (promise.left_.exchange(true, std::memory_order_acq_rel)) continuation.resume();
      }
      void await_resume() noexcept {}
    };
    std::coroutine_handle<> continuation_;
    // Set by the awaiter when it goes to sleep and by the task at its end; whoever comes second
    // goes on. So an awaiter whose task ends at once never sleeps, and a loop over such tasks needs
    // no stack: handing over by a call from each to the next would overflow it in builds without
    // tail calls (-O1, sanitizers).
    std::atomic<bool> left_{false};
    std::optional<T> value_;
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> continuation) noexcept {
        const Handle task = handle;
        task.promise().continuation_ = continuation;
        task.resume();
        // The last touch: after it another thread may have resumed and freed the awaiter.
        return !task.promise().left_.exchange(true, std::memory_order_acq_rel);
      }
      T await_resume() { return std::move(*handle.promise().value_); }
    };
    return Awaiter{handle_};
  }

 private:
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

// The outermost coroutine of a call: starts at once, frees itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
};

}  // namespace cmkstore::service

// CMK_RETURN_IF_ERROR and CMK_ASSIGN_OR_RETURN for coroutines.
#define CMK_CO_RETURN_IF_ERROR(expression)                                              \
  do {                                                                                  \
    if (absl::Status cmk_status = (expression); !cmk_status.ok()) co_return cmk_status; \
  } while (false)

#define CMK_CO_ASSIGN_OR_RETURN(target, expression) \
  CMK_CO_ASSIGN_OR_RETURN_(CMK_CONCAT_(cmk_result_, __LINE__), target, expression)

#define CMK_CO_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                                \
  if (!result.ok()) co_return std::move(result).status();    \
  target = std::move(result).value()
