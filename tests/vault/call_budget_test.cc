#include "vault/call_budget.h"

#include <gtest/gtest.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::vault {
namespace {

using testing::FailsWith;
using testing::IsOk;

constexpr char kVault[] = "https://contoso.vault.azure.net";

class CallBudgetTest : public ::testing::Test {
 protected:
  int TakeAll(double rate) {
    int taken = 0;
    while (budget_.TryTake(kVault, rate)) ++taken;
    return taken;
  }
  testing::VirtualClock clock_;
  CallBudget budget_{clock_};
};

TEST_F(CallBudgetTest, HalfThePublishedLimitByTheKeysSize) {
  EXPECT_EQ(CallsPerSecond("RSA-OAEP-256", 256), 100);
  EXPECT_EQ(CallsPerSecond("RSA-OAEP-256", 384), 25);
  EXPECT_EQ(CallsPerSecond("RSA-OAEP-256", 512), 12.5);
  EXPECT_EQ(CallsPerSecond("A256KW", 40), 100);
}

TEST_F(CallBudgetTest, NoSecondHoldsMoreThanTheBudgetAndTenHoldMostOfIt) {
  for (const double rate : {100.0, 25.0, 12.5}) {
    CallBudget budget(clock_);
    std::deque<absl::Time> calls;
    int total = 0;
    for (int tick = 0; tick < 100; ++tick) {
      while (budget.TryTake(kVault, rate)) {
        calls.push_back(clock_.MonotonicNow());
        ++total;
      }
      while (!calls.empty() && clock_.MonotonicNow() - calls.front() >= absl::Seconds(1)) {
        calls.pop_front();
      }
      ASSERT_LE(static_cast<double>(calls.size()), rate) << rate << " at tick " << tick;
      clock_.Advance(absl::Milliseconds(100));
    }
    EXPECT_GE(total, rate * 10 * 0.75) << rate;
  }
}

TEST_F(CallBudgetTest, KeysOfSeveralSizesShareTheirVaultsAttention) {
  EXPECT_EQ(TakeAll(25), 5);
  EXPECT_FALSE(budget_.TryTake(kVault, 100));
  EXPECT_TRUE(budget_.TryTake("https://fabrikam.vault.azure.net", 100)) << "each vault its own";
}

TEST_F(CallBudgetTest, AProbeMayOweASecondsWorthAndNoMore) {
  EXPECT_EQ(TakeAll(25), 5);
  int probes = 0;
  while (budget_.TryTakeOnCredit(kVault, 25)) ++probes;
  EXPECT_EQ(probes, 25);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(TakeAll(25), 5) << "of what is kept for others";
}

TEST_F(CallBudgetTest, ProbesThatTakeAllTheyCanLeaveHalfAndTakeWhatIsLeft) {
  for (const bool others : {true, false}) {
    CallBudget budget(clock_);
    int taken = 0, probes = 0;
    for (int tick = 0; tick < 300; ++tick) {
      while (budget.TryTakeOnCredit(kVault, 12.5)) ++probes;
      while (others && budget.TryTake(kVault, 12.5)) ++taken;
      clock_.Advance(absl::Milliseconds(100));
    }
    if (others) {
      EXPECT_NEAR(taken, 12.5 * 0.4 * 30, 5);
    }
    EXPECT_NEAR(probes, 12.5 * (others ? 0.4 : 0.8) * 30 + 12.5, 5);
  }
}

TEST_F(CallBudgetTest, WhoWaitsHasATurnHoweverManyOthersTakeWhatThereIs) {
  int others = 0, turns = 0;
  for (int tick = 0; tick < 300; ++tick) {
    others += TakeAll(25);
    // One look of a call that waits; it gives up at once, and comes again.
    turns += budget_.Await(kVault, 12.5, clock_.WallNow()).ok() ? 1 : 0;
    clock_.Advance(absl::Milliseconds(100));
  }
  // A turn of 80 ms after each 500 ms of others, of four fifths of 30 s.
  EXPECT_NEAR(turns, 30 * 0.8 / 0.58, 5);
  EXPECT_NEAR(others, 30 * 0.8 * 0.5 / 0.58 * 25, 50);
}

TEST_F(CallBudgetTest, AVaultThatThrottlesIsLeftAloneForAsLongAsItSays) {
  budget_.Throttled(kVault, absl::Seconds(30), 0);
  clock_.Advance(absl::Seconds(29));
  EXPECT_FALSE(budget_.TryTake(kVault, 100));
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(budget_.TryTake(kVault, 100));
}

TEST_F(CallBudgetTest, AProbeAsksAVaultThatThrottlesAgainAfter10Seconds) {
  budget_.Throttled(kVault, absl::Minutes(5), 0);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Milliseconds(9'900));
    EXPECT_FALSE(budget_.TryTakeOnCredit(kVault, 100));
    clock_.Advance(absl::Milliseconds(200));
    EXPECT_TRUE(budget_.TryTakeOnCredit(kVault, 100));
    EXPECT_FALSE(budget_.TryTakeOnCredit(kVault, 100)) << "one finds out";
    EXPECT_FALSE(budget_.TryTake(kVault, 100)) << "nobody else";
    budget_.Throttled(kVault, absl::Minutes(5), 0);
  }
  budget_.Answered(kVault);
  EXPECT_TRUE(budget_.TryTakeOnCredit(kVault, 100)) << "to probes it has answered";
  clock_.Advance(absl::Minutes(5) - 3 * absl::Milliseconds(10'100));
  EXPECT_TRUE(budget_.TryTake(kVault, 100)) << "what probes are told puts nothing off";
}

TEST_F(CallBudgetTest, WhoWouldWaitInVainIsToldForHowLong) {
  EXPECT_THAT(budget_.CheckPause(kVault, clock_.WallNow()), IsOk());
  budget_.Throttled(kVault, absl::Seconds(30), 0);
  const absl::Status told = budget_.CheckPause(kVault, clock_.WallNow() + absl::Seconds(20));
  EXPECT_THAT(told, FailsWith("VAULT_THROTTLED", ""));
  EXPECT_EQ(RetryAfterOf(told), absl::Seconds(30));
  EXPECT_THAT(budget_.CheckPause(kVault, clock_.WallNow() + absl::Seconds(31)), IsOk());
}

TEST_F(CallBudgetTest, WithoutAWordItIsLeftAlone1And2And4And8And16Seconds) {
  for (const int seconds : {1, 2, 4, 8, 16, 16}) {
    budget_.Throttled(kVault, absl::ZeroDuration(), 0);
    budget_.Throttled(kVault, absl::ZeroDuration(), 0);  // one that was under way counts once
    clock_.Advance(absl::Seconds(seconds) - absl::Milliseconds(1));
    EXPECT_FALSE(budget_.TryTake(kVault, 100)) << seconds;
    clock_.Advance(absl::Milliseconds(1));
    EXPECT_TRUE(budget_.TryTake(kVault, 100)) << seconds;
  }
  budget_.Answered(kVault);
  budget_.Throttled(kVault, absl::ZeroDuration(), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(budget_.TryTake(kVault, 100)) << "an answer begins the count anew";
}

TEST_F(CallBudgetTest, ManyVaultsAreLookedThroughForIdleOnesOnceAMinute) {
  const auto call_all = [&] {
    for (int i = 0; i < 5000; ++i) {
      EXPECT_TRUE(budget_.TryTake(absl::StrCat("https://v", i, ".vault.azure.net"), 100));
    }
  };
  call_all();
  clock_.Advance(absl::Seconds(10));
  budget_.Unreachable(kVault);
  clock_.Advance(absl::Seconds(230));
  call_all();
  clock_.Advance(absl::Seconds(65));
  EXPECT_TRUE(budget_.TryTake("https://one.vault.azure.net", 100));
  clock_.Advance(absl::Seconds(10));
  EXPECT_TRUE(budget_.TryTake("https://two.vault.azure.net", 100));
  EXPECT_TRUE(budget_.failing(kVault)) << "idle for 5 min, and not yet looked for";
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(budget_.TryTake("https://one.vault.azure.net", 100));
  EXPECT_FALSE(budget_.failing(kVault)) << "forgotten";
}

TEST_F(CallBudgetTest, TheJitterIsAtMostAQuarter) {
  budget_.Throttled(kVault, absl::Seconds(4), 0.999);
  clock_.Advance(absl::Milliseconds(4900));
  EXPECT_FALSE(budget_.TryTake(kVault, 100));
  clock_.Advance(absl::Milliseconds(200));
  EXPECT_TRUE(budget_.TryTake(kVault, 100));
}

}  // namespace
}  // namespace cmkstore::vault
