#include "service/health.h"

#include <gtest/gtest.h>

#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

constexpr uint64_t kNeeded = 1000;
constexpr HealthFacts kGood = {.shards = 4, .shards_stopped = 0, .free_disk_bytes = kNeeded};

class HealthTest : public ::testing::Test {
 protected:
  testing::VirtualClock clock_;
  Health health_{kNeeded, clock_};
};

TEST_F(HealthTest, AStartThatTakesLongIsNeitherDeadNorReady) {
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(health_.Live().ok);
  EXPECT_FALSE(health_.Startup().ok);
  EXPECT_FALSE(health_.Ready().ok);
  EXPECT_EQ(health_.State(), "starting");
  health_.Started();
  EXPECT_TRUE(health_.Report(kGood));
  EXPECT_TRUE(health_.Startup().ok);
  EXPECT_TRUE(health_.Ready().ok);
  EXPECT_EQ(health_.State(), "serving");
}

TEST_F(HealthTest, AStoppedShardOrTooLittleDiskIsNotReadyUntilItIsMended) {
  health_.Started();
  health_.Report(kGood);
  HealthFacts facts = kGood;
  facts.shards_stopped = 1;
  EXPECT_TRUE(health_.Report(facts)) << "a change";
  EXPECT_FALSE(health_.Report(facts)) << "no change";
  EXPECT_FALSE(health_.Ready().ok);
  EXPECT_TRUE(health_.Live().ok) << "a restart would not help";
  EXPECT_TRUE(health_.Report(kGood));
  EXPECT_TRUE(health_.Ready().ok);
  facts = kGood;
  facts.free_disk_bytes = kNeeded - 1;
  health_.Report(facts);
  EXPECT_FALSE(health_.Ready().ok);
  EXPECT_EQ(health_.State(), "not ready");
}

TEST_F(HealthTest, AServerThatBeginsUnreadySaysSo) {
  health_.Started();
  HealthFacts facts = kGood;
  facts.free_disk_bytes = 0;
  EXPECT_TRUE(health_.Report(facts));
  EXPECT_FALSE(health_.Ready().ok);
  EXPECT_FALSE(health_.Report(facts)) << "said";
}

TEST_F(HealthTest, ASilentTickerIsDead) {
  health_.Started();
  health_.Report(kGood);
  clock_.Advance(absl::Seconds(59));
  EXPECT_TRUE(health_.Live().ok);
  clock_.Advance(absl::Seconds(2));
  EXPECT_FALSE(health_.Live().ok);
  health_.Report(kGood);
  EXPECT_TRUE(health_.Live().ok);
}

TEST_F(HealthTest, ARequestQueueThatDoesNotAnswerIsDead) {
  health_.Started();
  HealthFacts facts = kGood;
  facts.queue_silence = absl::Seconds(59);
  health_.Report(facts);
  EXPECT_TRUE(health_.Live().ok);
  facts.queue_silence = absl::Seconds(60);
  health_.Report(facts);
  EXPECT_FALSE(health_.Live().ok);
  health_.Report(kGood);
  EXPECT_TRUE(health_.Live().ok);
}

TEST_F(HealthTest, DrainingIsForGood) {
  health_.Started();
  health_.Report(kGood);
  health_.Drain();
  health_.Started();
  health_.Report(kGood);
  EXPECT_FALSE(health_.Ready().ok);
  EXPECT_TRUE(health_.Startup().ok);
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(health_.Live().ok) << "the end may take its time";
}

}  // namespace
}  // namespace cmkstore::service
