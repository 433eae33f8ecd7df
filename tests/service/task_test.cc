#include "service/task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace cmkstore::service {
namespace {

Task<int> Immediately(int value) { co_return value; }

Task<int64_t> SumOf(int count) {
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    auto task = Immediately(1);
    sum += co_await std::move(task);
  }
  co_return sum;
}

Detached Start(Task<int64_t> task, std::atomic<int64_t>& result) {
  result = co_await std::move(task);
}

// Goes on as soon as it can on a thread of its own, also before await_suspend has returned.
struct OnAnotherThread {
  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    std::thread([handle] { handle.resume(); }).detach();
  }
  void await_resume() noexcept {}
};

Task<int> Elsewhere() {
  co_await OnAnotherThread();
  co_return 1;
}

Task<int64_t> SumElsewhere(int count) {
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    auto task = Elsewhere();
    sum += co_await std::move(task);
  }
  co_return sum;
}

TEST(TaskTest, ALongLoopOverTasksThatEndAtOnceNeedsNoStack) {
  std::atomic<int64_t> result{0};
  Start(SumOf(1'000'000), result);
  EXPECT_EQ(result, 1'000'000);
}

TEST(TaskTest, ATaskThatEndsOnAnotherThreadResumesItsAwaiterOnce) {
  std::atomic<int64_t> result{-1};
  Start(SumElsewhere(2000), result);
  while (result == -1) std::this_thread::yield();
  EXPECT_EQ(result, 2000);
}

}  // namespace
}  // namespace cmkstore::service
