#include "keycache/vault_lanes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::keycache {
namespace {

class VaultLanesTest : public ::testing::Test {
 protected:
  ~VaultLanesTest() override {
    let_go_.Notify();
    lanes_.Stop();
  }

  // A call that hangs to the end of the test, and to which nobody answers then.
  void Hang(const std::string& vault) {
    EXPECT_TRUE(lanes_.Run(vault, 100, [this] {
      ++hanging_;
      let_go_.WaitForNotification();
      return false;
    }));
  }
  void AwaitHanging(int count) {
    while (hanging_ < count) std::this_thread::yield();
  }
  void StartCall(const std::string& vault, absl::Notification& called) {
    EXPECT_TRUE(lanes_.Run(vault, 100, [&called] {
      called.Notify();
      return true;
    }));
  }

  testing::VirtualClock clock_;
  vault::CallBudget budget_{clock_};
  absl::Notification let_go_;
  std::atomic<int> hanging_ = 0;
  VaultLanes lanes_{
      {.name = "test", .threads = 3, .slow_threads = 4, .per_vault = 2, .slow_per_vault = 2},
      budget_,
      clock_};
};

TEST_F(VaultLanesTest, VaultsThatFallSilentAllAtOnceMakeRoomForOthers) {  // KL-7
  for (int i = 0; i < 3; ++i) Hang(absl::StrCat("silent", i));
  AwaitHanging(3);
  absl::Notification called;
  StartCall("healthy", called);
  EXPECT_EQ(lanes_.counts().in_line, 1u);
  clock_.Advance(absl::Milliseconds(500));
  lanes_.Tick();
  called.WaitForNotification();

  for (int i = 3; i < 7; ++i) Hang(absl::StrCat("silent", i));
  AwaitHanging(6);
  clock_.Advance(absl::Milliseconds(500));
  lanes_.Tick();
  AwaitHanging(7);
  Hang("silent7");
  clock_.Advance(absl::Seconds(1));
  lanes_.Tick();
  EXPECT_EQ(lanes_.counts().in_line, 1u) << "the threads are bounded, together";
}

TEST_F(VaultLanesTest, AVaultThatIsKnownNotToAnswerTakesNoThreadOfOthers) {  // KL-7
  for (int i = 0; i < 5; ++i) {
    budget_.Unreachable(absl::StrCat("silent", i));
    Hang(absl::StrCat("silent", i));
  }
  AwaitHanging(4);
  EXPECT_EQ(lanes_.counts().in_line, 1u);
  absl::Notification called;
  StartCall("healthy", called);
  called.WaitForNotification();
}

TEST_F(VaultLanesTest, AVaultThatAnswersAgainDoesNotWaitBehindThoseThatDoNot) {  // KL-7
  absl::Notification answer, called;
  budget_.Unreachable("back");
  ASSERT_TRUE(lanes_.Run("back", 100, [&] {
    answer.WaitForNotification();
    return true;
  }));
  for (int i = 0; i < 6; ++i) {
    budget_.Unreachable(absl::StrCat("silent", i));
    Hang(absl::StrCat("silent", i));
  }
  AwaitHanging(3);
  clock_.Advance(absl::Seconds(1));
  StartCall("back", called);
  EXPECT_EQ(lanes_.counts().in_line, 4u);
  answer.Notify();
  called.WaitForNotification();
}

}  // namespace
}  // namespace cmkstore::keycache
