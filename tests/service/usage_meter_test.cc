#include "service/usage_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "service/apply_blocking.h"
#include "service/purge_hubs.h"
#include "store/tables.h"
#include "tests/testing/matchers.h"
#include "tests/testing/refusing_engine.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;
using Counter = store::UsageCounter;

class UsageMeterTest : public ::testing::Test {
 protected:
  UsageMeterTest() { MakeSecrets(); }

  // What tells a hub that is there from one that was purged.
  void MakeSecrets() {
    std::string bytes("CK\x01\x02\0\0\0\0", 8);
    bytes.resize(crypto::SealedDocument::kOverheadBytes + 8, 's');
    store::WriteSet writes;
    store::HubSecretsTable::Put(writes, *crypto::SealedDocument::Parse(bytes));
    ASSERT_THAT(ApplyBlocking(engine_, hub_, std::move(writes)), IsOk());
  }
  std::shared_ptr<HubUsage> Hub() { return meter_.Of(uid_, hub_); }
  store::UsageNumbers Totals() { return *store::UsageTable(engine_).Totals(hub_); }
  std::vector<store::UsageHour> Hours() { return store::UsageTable(engine_).Since(hub_, 0)->hours; }
  // The flush that Tick has started runs on a thread of its own.
  void AwaitFlush(absl::Time through) {
    while (meter_.counted_through() < through) absl::SleepFor(absl::Milliseconds(1));
  }

  testing::VirtualClock clock_;
  testing::RefusingEngine engine_;
  int64_t index_bytes_ = 0;
  const UsageMeterOptions options_{absl::Seconds(10), absl::Hours(48)};
  UsageMeter meter_{options_, engine_, clock_, [this](HubUid) { return index_bytes_; }};
  const store::Partition hub_ = {0, std::string(16, 'h')};
  const HubUid uid_ = *HubUid::FromBytes(std::string(16, 'h'));
};

TEST_F(UsageMeterTest, WhatWasCountedIsOnDiskAfterAFlushAndCountedOnce) {
  const auto hub = Hub();
  hub->Count(Counter::kReadCalls, 3);
  hub->Count(Counter::kReadCalls);
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Totals()[Counter::kReadCalls], 4);
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Totals()[Counter::kReadCalls], 4);
  EXPECT_EQ(*engine_.LastSequence(hub_), 1u) << "a flush takes no sequence of the hub's feed";
}

TEST_F(UsageMeterTest, ARefusedFlushIsAddedWithTheNextOneAndNotTwice) {
  const auto hub = Hub();
  index_bytes_ = 4096;
  hub->Count(Counter::kSearchCalls, 5);
  engine_.refuse = true;
  EXPECT_THAT(meter_.Flush(), FailsWith("STORE_BUSY", ""));
  hub->Count(Counter::kSearchCalls, 2);
  EXPECT_THAT(meter_.Flush(), FailsWith("STORE_BUSY", ""));
  EXPECT_EQ(Totals(), store::UsageNumbers());
  engine_.refuse = false;
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Totals()[Counter::kSearchCalls], 7);
  EXPECT_EQ(Totals()[Counter::kIndexBytes], 4096);
}

TEST_F(UsageMeterTest, ATurnOfTheHourPutsWhatWasCountedIntoTheHourThatHasEnded) {
  const auto hub = Hub();
  const uint64_t hour = HourOf(clock_.WallNow());
  clock_.Advance(absl::FromUnixSeconds(static_cast<int64_t>(hour + 1) * 3600) - clock_.WallNow() -
                 absl::Seconds(1));
  meter_.Tick();
  AwaitFlush(clock_.WallNow());
  hub->Count(Counter::kReadCalls, 3);
  clock_.Advance(absl::Seconds(2));
  meter_.Tick();
  AwaitFlush(clock_.WallNow());
  hub->Count(Counter::kReadCalls, 10);
  ASSERT_THAT(meter_.Flush(), IsOk());
  ASSERT_EQ(Hours().size(), 2u);
  EXPECT_EQ(Hours()[0].hour, hour);
  EXPECT_EQ(Hours()[0].numbers[Counter::kReadCalls], 3);
  EXPECT_EQ(Hours()[1].numbers[Counter::kReadCalls], 10);
}

TEST_F(UsageMeterTest, AFlushIsStartedOncePerInterval) {
  const auto hub = Hub();
  hub->Count(Counter::kReadCalls);
  clock_.Advance(absl::Seconds(9));
  meter_.Tick();
  EXPECT_EQ(Totals()[Counter::kReadCalls], 0);
  clock_.Advance(absl::Seconds(1));
  meter_.Tick();
  AwaitFlush(clock_.WallNow());
  EXPECT_EQ(Totals()[Counter::kReadCalls], 1);
}

TEST_F(UsageMeterTest, TheIndexIsLookedAtAfterWritesAndItsSizeIsALevel) {
  const auto hub = Hub();
  index_bytes_ = 8192;
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Totals()[Counter::kIndexBytes], 8192);
  index_bytes_ = 4096;
  hub->NoteWrite();
  ASSERT_THAT(meter_.Flush(), IsOk());
  index_bytes_ = 12288;  // it followed a little later
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Totals()[Counter::kIndexBytes], 12288);
  index_bytes_ = 1;
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Totals()[Counter::kIndexBytes], 12288) << "nothing was written: not looked at";
}

TEST_F(UsageMeterTest, APurgedHubGetsNoRowAgain) {
  const auto hub = Hub();
  ASSERT_THAT(engine_.DropPartition(hub_), IsOk());
  hub->Count(Counter::kReadCalls);
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_TRUE(Hours().empty());
}

TEST_F(UsageMeterTest, HoursBeyondTheRetentionAreDeletedAndTheTotalsStay) {
  const auto hub = Hub();
  hub->Count(Counter::kReadCalls);
  ASSERT_THAT(meter_.Flush(), IsOk());
  clock_.Advance(absl::Hours(50));
  hub->Count(Counter::kReadCalls);
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(Hours().size(), 1u);
  EXPECT_EQ(Totals()[Counter::kReadCalls], 2);
}

TEST_F(UsageMeterTest, AHubThatNobodyHoldsIsForgottenOnceItIsOnDisk) {
  auto hub = Hub();
  hub->Count(Counter::kReadCalls);
  for (int i = 0; i < 3; ++i) ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(meter_.hubs(), 1u) << "somebody holds it";
  hub->Count(Counter::kReadCalls);
  hub.reset();
  ASSERT_THAT(meter_.Flush(), IsOk());
  EXPECT_EQ(meter_.hubs(), 0u);
  EXPECT_EQ(Totals()[Counter::kReadCalls], 2);
}

TEST(UsageMeterOptionsTest, TheDefaultsAreThoseOfTheConfiguration) {
  EXPECT_EQ(UsageMeterOptions().flush_interval, absl::Seconds(10));
  EXPECT_EQ(UsageMeterOptions().retention, absl::Hours(9600));
  EXPECT_EQ(PurgeOptions().usage_retention, absl::Hours(9600));
}

}  // namespace
}  // namespace cmkstore::service
