#include "base/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/synchronization/notification.h"

namespace cmkstore {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// Tasks note their names. `gate` holds up those that wait for it.
class WorkerTest : public ::testing::Test {
 protected:
  std::function<void()> Note(const std::string& name) {
    return [this, name] {
      absl::MutexLock lock(&mutex_);
      ran_.push_back(name);
    };
  }
  std::function<void()> Hang() {
    return [this] {
      {
        absl::MutexLock lock(&mutex_);
        ++hanging_;
      }
      gate_.WaitForNotification();
    };
  }
  void AwaitHanging(int count) {
    absl::MutexLock lock(&mutex_);
    const auto reached = [&] { return hanging_ >= count; };
    mutex_.Await(absl::Condition(&reached));
  }
  void AwaitRan(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto reached = [&] { return ran_.size() >= count; };
    mutex_.Await(absl::Condition(&reached));
  }

  absl::Mutex mutex_;
  std::vector<std::string> ran_;
  int hanging_ = 0;
  absl::Notification gate_;
};

TEST_F(WorkerTest, PartiesTakeTurnsAndEachGoesInItsOwnOrder) {
  Worker worker({.name = "test"});
  ASSERT_TRUE(worker.TryRun(Hang()));
  AwaitHanging(1);
  for (const char* task : {"a1", "a2", "a3", "b1", "c1", "b2"}) {
    ASSERT_TRUE(worker.TryRunFor(std::string(task, 1), Note(task)));
  }
  gate_.Notify();
  worker.Stop();
  EXPECT_THAT(ran_, ElementsAre("a1", "b1", "c1", "a2", "b2", "a3"));
}

TEST_F(WorkerTest, APartyWhoseTasksHangLeavesThreadsToOthers) {
  Worker worker({.name = "test", .threads = 3, .threads_of_one = 2});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(worker.TryRunFor("hangs", Hang()));
  AwaitHanging(2);
  ASSERT_TRUE(worker.TryRunFor("other", Note("other")));
  AwaitRan(1);
  EXPECT_EQ(hanging_, 2);
  gate_.Notify();
  worker.Stop();
  EXPECT_EQ(hanging_, 5) << "what was taken runs";
}

TEST_F(WorkerTest, WhoseLineIsFullIsRefusedAndOthersAreNot) {
  Worker worker({.name = "test", .max_queued = 3, .max_queued_of_one = 2});
  ASSERT_TRUE(worker.TryRun(Hang()));
  AwaitHanging(1);
  ASSERT_TRUE(worker.TryRunFor("a", Note("a1")));
  ASSERT_TRUE(worker.TryRunFor("a", Note("a2")));
  EXPECT_FALSE(worker.TryRunFor("a", Note("a3")));
  EXPECT_TRUE(worker.TryRunFor("b", Note("b1")));
  EXPECT_FALSE(worker.TryRunFor("c", Note("c1"))) << "all places are taken";
  gate_.Notify();
  worker.Stop();
  EXPECT_THAT(ran_, SizeIs(3));
}

TEST_F(WorkerTest, AfterStopNothingIsTaken) {
  Worker worker({.name = "test"});
  worker.Stop();
  EXPECT_FALSE(worker.TryRun(Note("late")));
  EXPECT_THAT(ran_, ElementsAre());
}

}  // namespace
}  // namespace cmkstore
