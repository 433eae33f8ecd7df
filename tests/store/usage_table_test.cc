#include "store/usage_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "store/counter_row.h"
#include "store/memory/memory_engine.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"

namespace cmkstore::store {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;

UsageNumbers Of(int64_t documents, int64_t reads) {
  UsageNumbers numbers;
  numbers[UsageCounter::kDocuments] = documents;
  numbers[UsageCounter::kReadCalls] = reads;
  return numbers;
}

class UsageTableTest : public ::testing::Test {
 protected:
  void Add(uint64_t hour, const UsageNumbers& more) {
    WriteSet writes;
    UsageTable::Add(writes, hour, more);
    ASSERT_THAT(ApplyAndWait(engine_, hub_, std::move(writes)), IsOk());
  }
  static std::vector<uint64_t> HoursOf(const UsageSince& since) {
    std::vector<uint64_t> hours;
    for (const UsageHour& one : since.hours) hours.push_back(one.hour);
    return hours;
  }

  MemoryEngine engine_{1};
  const Partition hub_ = {0, std::string(16, 'h')};
  const HubUid uid_ = *HubUid::FromBytes(std::string(16, 'h'));
  const UsageTable table_{engine_};
};

TEST(CounterRowTest, NumbersAreAddedOneByOneAndMissingOnesAreZero) {
  const int64_t some[] = {1, -5, 7}, more[] = {-3, 5};
  int64_t sums[4] = {9, 9, 9, 9};
  DecodeCounters(SumOfCounters(EncodeCounters(some), EncodeCounters(more)), sums);
  EXPECT_THAT(sums, ElementsAre(-2, 0, 7, 0));
  EXPECT_EQ(SumOfCounters("", EncodeCounters(some)), EncodeCounters(some));
  EXPECT_EQ(SumOfCounters(EncodeCounters(some), ""), EncodeCounters(some));
}

TEST_F(UsageTableTest, HoursAndTotalsAreOfOneMoment) {
  Add(100, Of(2, 10));
  Add(103, Of(-1, 0));
  Add(100, Of(1, 5));
  const auto all = table_.Since(hub_, 0);
  ASSERT_THAT(all, IsOk());
  EXPECT_THAT(HoursOf(*all), ElementsAre(100, 103));
  EXPECT_EQ(all->hours[0].numbers, Of(3, 15));
  EXPECT_EQ(all->totals, Of(2, 15));
  const auto late = table_.Since(hub_, 101);
  EXPECT_THAT(HoursOf(*late), ElementsAre(103));
  EXPECT_EQ(late->totals, Of(2, 15));
  EXPECT_EQ(*table_.Totals(hub_), Of(2, 15));
}

TEST_F(UsageTableTest, OldHoursAreDeletedAFewAtATimeAndTheTotalsStay) {
  for (uint64_t hour = 10; hour < 15; ++hour) Add(hour, Of(1, 1));
  WriteSet writes;
  EXPECT_TRUE(*table_.DeleteBefore(hub_, 13, 2, writes));
  ASSERT_THAT(ApplyAndWait(engine_, hub_, std::move(writes)), IsOk());
  EXPECT_THAT(HoursOf(*table_.Since(hub_, 0)), ElementsAre(12, 13, 14));
  WriteSet rest;
  EXPECT_FALSE(*table_.DeleteBefore(hub_, 13, 2, rest));
  ASSERT_THAT(ApplyAndWait(engine_, hub_, std::move(rest)), IsOk());
  EXPECT_THAT(HoursOf(*table_.Since(hub_, 0)), ElementsAre(13, 14));
  EXPECT_EQ(*table_.Totals(hub_), Of(5, 5));
}

TEST_F(UsageTableTest, APurgedHubsRowsOutliveItsPartition) {
  Add(100, Of(2, 10));
  Add(101, Of(1, 0));
  for (int again = 0; again < 2; ++again) {
    WriteSet copy;
    ASSERT_THAT(table_.CopyForPurge(hub_, uid_, copy), IsOk());
    ASSERT_THAT(ApplyAndWait(engine_, CatalogPartition(), std::move(copy)), IsOk());
  }
  ASSERT_THAT(engine_.DropPartition(hub_), IsOk());
  EXPECT_EQ(*table_.Totals(hub_), UsageNumbers());
  const auto left = table_.SinceOfPurged(uid_, 101);
  EXPECT_THAT(HoursOf(*left), ElementsAre(101));
  EXPECT_EQ(left->totals, Of(3, 10));

  WriteSet end;
  ASSERT_THAT(table_.DeleteOfPurged(uid_, end), IsOk());
  ASSERT_THAT(ApplyAndWait(engine_, CatalogPartition(), std::move(end)), IsOk());
  EXPECT_THAT(HoursOf(*table_.SinceOfPurged(uid_, 0)), ElementsAre());
  EXPECT_EQ(table_.SinceOfPurged(uid_, 0)->totals, UsageNumbers());
}

}  // namespace
}  // namespace cmkstore::store
