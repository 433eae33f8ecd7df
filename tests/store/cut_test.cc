// ShardSet::Cut: the shards of one moment, though writers go on; and what is copied from one set to
// another.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "store/change_feed.h"
#include "store/key_layout.h"
#include "store/rocksdb/high_water.h"
#include "store/rocksdb/shard_meeting.h"
#include "store/rocksdb/shard_set.h"
#include "store/shard_copy.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

using testing::IsOk;

absl::Status NoPace(uint64_t /*bytes*/) { return absl::OkStatus(); }

class CutTest : public ::testing::Test {
 protected:
  std::unique_ptr<ShardSet> Open(const std::string& name) {
    ShardSetOptions options;
    options.directory = dir_.path() + "/" + name;
    options.shards = 3;
    options.cut_wait = absl::Milliseconds(500);
    auto opened = ShardSet::Open(options);
    EXPECT_THAT(opened, IsOk());
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  static Partition HubOf(uint32_t shard) {
    return {shard, std::string(16, static_cast<char>('a' + shard))};
  }
  static uint64_t CounterOf(const ShardSet& shards, uint32_t shard) {
    const auto row = shards.Get(HubOf(shard), "counter");
    return row.ok() && row->has_value() ? ReadU64(**row) : 0;
  }
  static absl::Status Count(ShardSet& shards, uint32_t shard, uint64_t value) {
    std::string bytes;
    AppendU64(value, bytes);
    return ApplyAndWait(shards, HubOf(shard), PutOne("counter", bytes)).status();
  }

  testing::TempDir dir_;
};

// Each round writes to shard 0, and when that is acknowledged to shard 1, then 2: at every moment
// the counters fall from shard to shard, by one in all.
TEST_F(CutTest, UnderLoadItIsOfOneMomentAcrossShards) {
  const auto shards = Open("shards");
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> rounds{0};
  std::thread writer([&] {
    for (uint64_t round = 1; !stop; ++round) {
      for (uint32_t shard = 0; shard < 3; ++shard) {
        if (!Count(*shards, shard, round).ok()) return;
      }
      rounds = round;
    }
  });
  constexpr int kCuts = 20;
  for (int i = 0; i < kCuts; ++i) {
    const uint64_t before = rounds;
    while (rounds < before + 3) std::this_thread::yield();
    const uint64_t acknowledged = rounds;
    ASSERT_THAT(shards->Cut(Path(absl::StrCat("cut-", i))), IsOk());
    const auto cut = Open(absl::StrCat("cut-", i));
    ASSERT_NE(cut, nullptr);
    const uint64_t first = CounterOf(*cut, 0), last = CounterOf(*cut, 2);
    EXPECT_GE(last, acknowledged) << "what was acknowledged before is in it";
    EXPECT_GE(first, CounterOf(*cut, 1));
    EXPECT_GE(CounterOf(*cut, 1), last);
    EXPECT_LE(first - last, 1u);
  }
  stop = true;
  writer.join();
  EXPECT_GT(rounds, static_cast<uint64_t>(kCuts));
}

TEST_F(CutTest, ItKnowsHowFarItsWritesGo) {
  const auto shards = Open("shards");
  ASSERT_THAT(Count(*shards, 0, 1), IsOk());
  ASSERT_THAT(shards->Cut(Path("cut")), IsOk());
  const absl::StatusOr<HighWater> mark = HighWater::Open(Path("cut/shard-0/HIGH_WATER"), false);
  ASSERT_THAT(mark, IsOk());
  EXPECT_GT(mark->Read(), 0u) << "else a cut that lost its log would open as an older one";
}

TEST_F(CutTest, AShardThatStandsStillDoesNotStopTheOthersForLong) {
  const auto shards = Open("shards");
  {
    HeldCommits held(*shards, HubOf(1));
    std::thread cutter([&] { (void)shards->Cut(Path("cut")); });
    // Whether it waits in the meeting or not yet: it goes on though shard 1 stands still.
    EXPECT_THAT(Count(*shards, 0, 1), IsOk());
    held.Release();
    cutter.join();
  }
  EXPECT_THAT(Count(*shards, 1, 1), IsOk());
  EXPECT_THAT(shards->Cut(Path("cut-2")), IsOk());
}

TEST(ShardMeetingTest, WhoWaitsTooLongAbandonsItForAll) {
  ShardMeeting meeting(2, absl::Milliseconds(1));
  EXPECT_FALSE(meeting.Meet()) << "the other did not come";
  (void)meeting.Meet();  // it comes too late: all have been here, but not at the same time
  EXPECT_FALSE(meeting.Meet()) << "so nobody's copy counts";
}

TEST_F(CutTest, HubsAreCopiedWithTheirFeedsAndSequencesAndTheCatalogIsNot) {
  const auto from = Open("from"), to = Open("to");
  for (uint32_t shard = 0; shard < 3; ++shard) {
    for (uint64_t i = 1; i <= 5; ++i) {
      WriteSet writes = PutOne("counter", std::string(8, static_cast<char>(i)));
      writes.SetFeedRecord(absl::StrCat("entry ", i));
      ASSERT_THAT(ApplyAndWait(*from, HubOf(shard), std::move(writes)), IsOk());
    }
  }
  ASSERT_THAT(ApplyAndWait(*from, CatalogPartition(), PutOne("catalog", "from")), IsOk());
  ASSERT_THAT(ApplyAndWait(*to, CatalogPartition(), PutOne("catalog", "to")), IsOk());
  ASSERT_THAT(CopyHubs(*from, *to, NoPace), IsOk());
  ASSERT_THAT(CopyHubs(*from, *to, NoPace), IsOk()) << "again, as after a crash";
  for (uint32_t shard = 0; shard < 3; ++shard) {
    EXPECT_EQ(*to->LastSequence(HubOf(shard)), 5u);
    EXPECT_EQ(**to->Get(HubOf(shard), FeedKey(3)), "entry 3");
    EXPECT_EQ(*ApplyAndWait(*to, HubOf(shard), PutOne("k", "v")), 6u) << "it goes on from there";
  }
  EXPECT_EQ(**to->Get(CatalogPartition(), "catalog"), "to");
  ASSERT_THAT(DropHubs(*to), IsOk());
  ASSERT_THAT(DropHubs(*to), IsOk()) << "with nothing to drop";
  for (uint32_t shard = 0; shard < 3; ++shard) {
    EXPECT_EQ(*to->LastSequence(HubOf(shard)), 0u);
    EXPECT_FALSE(to->Get(HubOf(shard), FeedKey(3))->has_value());
  }
  EXPECT_EQ(**to->Get(CatalogPartition(), "catalog"), "to");
}

TEST_F(CutTest, ARestoreLeavesOutNumbersAndTheFeedKnowsWhich) {
  const auto shards = Open("from");
  const Partition hub = HubOf(0);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_THAT(ApplyAndWait(*shards, hub, PutOne("k", absl::StrCat(i))), IsOk());
  }
  const ChangeFeed feed(*shards);
  EXPECT_TRUE(*feed.Has(hub, 3, 3));
  EXPECT_FALSE(*feed.Has(hub, 4, 3)) << "not yet";
  ASSERT_THAT(SkipSequences(*shards, {hub, HubOf(1)}, 100), IsOk());
  const uint64_t behind = *shards->LastSequence(hub);
  EXPECT_GE(behind, uint64_t{1} << 32) << "the floor is below what one may have given meanwhile";
  ASSERT_THAT(SkipSequences(*shards, {hub}, 2 * behind), IsOk());
  EXPECT_EQ(*shards->LastSequence(hub), 2 * behind);
  EXPECT_EQ(*ApplyAndWait(*shards, hub, PutOne("k", "v")), 2 * behind + 1);
  const uint64_t last = 2 * behind + 1;
  for (const uint64_t kept : {uint64_t{0}, uint64_t{3}, behind, 2 * behind, last}) {
    EXPECT_TRUE(*feed.Has(hub, kept, last)) << kept;
  }
  for (const uint64_t gone : {uint64_t{4}, behind - 1, behind + 1, last - 2}) {
    EXPECT_FALSE(*feed.Has(hub, gone, last)) << gone;
  }
  EXPECT_EQ(*feed.SkippedAfter(hub, 0), last - 4) << "four commits have the other numbers";
  EXPECT_EQ(*feed.SkippedAfter(hub, behind), behind);
  EXPECT_EQ(*feed.SkippedAfter(hub, 2 * behind), 0u);
  EXPECT_EQ(*feed.SkippedAfter(HubOf(2), 0), 0u) << "never restored";
}

}  // namespace
}  // namespace cmkstore::store
