#include "store/rocksdb/shard_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/errors.h"
#include "store/key_layout.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

using testing::FailsWith;
using testing::IsOk;
using testing::TempDir;

absl::StatusOr<Sequence> ApplyAndWait(Engine& engine, const Partition& partition, WriteSet writes) {
  absl::Notification finished;
  absl::StatusOr<Sequence> result;
  engine.Apply(partition, std::move(writes), [&](absl::StatusOr<Sequence> sequence) {
    result = std::move(sequence);
    finished.Notify();
  });
  finished.WaitForNotification();
  return result;
}

WriteSet PutOne(const std::string& key, const std::string& value) {
  WriteSet writes;
  writes.PutRecord(key, value);
  return writes;
}

class ShardSetTest : public ::testing::Test {
 protected:
  ShardSetTest() { Reopen(); }
  void Reopen() {
    engine_.reset();
    options_.directory = dir_.path() + "/shards";
    options_.shards = 2;
    auto opened = ShardSet::Open(options_);
    ASSERT_THAT(opened, IsOk());
    engine_ = std::move(*opened);
  }
  std::optional<std::string> Get(const Partition& partition, const std::string& key) {
    auto row = engine_->Get(partition, key);
    return row.ok() ? *row : std::nullopt;
  }

  TempDir dir_;
  ShardSetOptions options_;
  std::unique_ptr<ShardSet> engine_;
  const Partition hub_ = {1, std::string(16, 'h')};
  const Partition other_ = {1, std::string(16, 'o')};
};

TEST_F(ShardSetTest, WhatWasAppliedIsReadAlsoAfterReopening) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
  EXPECT_EQ(Get(hub_, "k"), "v");
  EXPECT_EQ(Get(other_, "k"), std::nullopt);
  Reopen();
  EXPECT_EQ(Get(hub_, "k"), "v");
}

TEST_F(ShardSetTest, SequencesCountEachPartitionWithoutGaps) {
  for (Sequence expected = 1; expected <= 5; ++expected) {
    EXPECT_EQ(*ApplyAndWait(*engine_, hub_, PutOne("k", "v")), expected);
  }
  EXPECT_EQ(*ApplyAndWait(*engine_, other_, PutOne("k", "v")), 1u);
  Reopen();
  EXPECT_EQ(*engine_->LastSequence(hub_), 5u);
  EXPECT_EQ(*ApplyAndWait(*engine_, hub_, PutOne("k", "v")), 6u);
}

TEST_F(ShardSetTest, AFailedPreconditionWritesNothingAndTakesNoSequence) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "abc")), IsOk());
  WriteSet absent = PutOne("x", "1");
  absent.RequireAbsent("k", AlreadyExists("document"));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(absent)),
              FailsWith("DOCUMENT_ALREADY_EXISTS", ""));
  WriteSet present = PutOne("x", "1");
  present.RequirePresent("missing", NotFound("document"));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(present)),
              FailsWith("DOCUMENT_NOT_FOUND", ""));
  WriteSet begins = PutOne("x", "1");
  begins.RequireBeginsWith("k", "abd", EtagMismatch());
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(begins)), FailsWith("ETAG_MISMATCH", ""));
  EXPECT_EQ(Get(hub_, "x"), std::nullopt);
  EXPECT_EQ(*engine_->LastSequence(hub_), 1u);
}

TEST_F(ShardSetTest, OfConcurrentCreatorsExactlyOneWins) {
  constexpr int kWriters = 64;
  std::atomic<int> won = 0, lost = 0;
  absl::Notification finished;
  for (int i = 0; i < kWriters; ++i) {
    WriteSet writes = PutOne("k", absl::StrCat(i));
    writes.RequireAbsent("k", AlreadyExists("document"));
    engine_->Apply(hub_, std::move(writes), [&](absl::StatusOr<Sequence> result) {
      (result.ok() ? won : lost)++;
      if (won + lost == kWriters) finished.Notify();
    });
  }
  finished.WaitForNotification();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, kWriters - 1);
}

// Linearizable: increments by compare-and-set from many threads lose none.
TEST_F(ShardSetTest, CompareAndSetLosesNoIncrement) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("n", "0;")), IsOk());
  constexpr int kThreads = 8, kEach = 25;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int done = 0; done < kEach;) {
        const std::string now = *Get(hub_, "n");
        WriteSet writes = PutOne("n", absl::StrCat(std::stoi(now) + 1, ";"));
        writes.RequireBeginsWith("n", now, EtagMismatch());
        if (ApplyAndWait(*engine_, hub_, std::move(writes)).ok()) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Get(hub_, "n"), absl::StrCat(kThreads * kEach, ";"));
}

TEST_F(ShardSetTest, FeedRowsStandUnderTheSequenceOfTheirCommit) {
  for (int i = 1; i <= 3; ++i) {
    WriteSet writes = PutOne("k", "v");
    writes.SetFeedRecord(absl::StrCat("change ", i));
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, std::move(writes)), IsOk());
  }
  auto rows = engine_->Scan(hub_, {FeedKey(2), TableRange(Table::kFeed).end}, 10);
  ASSERT_THAT(rows, IsOk());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(ParseFeedKey((*rows)[0].key), 2u);
  EXPECT_EQ((*rows)[1].value, "change 3");
}

TEST_F(ShardSetTest, ScanStopsAtItsLimitItsRangeAndItsPartition) {
  for (const char* key : {"a", "b", "c", "d"}) {
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, key)), IsOk());
  }
  ASSERT_THAT(ApplyAndWait(*engine_, other_, PutOne("b2", "b2")), IsOk());
  auto rows = engine_->Scan(hub_, {"b", "z"}, 2);
  ASSERT_THAT(rows, IsOk());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].key, "b");
  EXPECT_EQ((*rows)[1].key, "c");
  EXPECT_EQ(engine_->Scan(hub_, {"b", "c"}, 10)->size(), 1u);
}

TEST_F(ShardSetTest, ADroppedPartitionIsGoneAndItsNeighbourIsNot) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
  ASSERT_THAT(ApplyAndWait(*engine_, other_, PutOne("k", "v")), IsOk());
  ASSERT_THAT(engine_->DropPartition(hub_), IsOk());
  EXPECT_EQ(Get(hub_, "k"), std::nullopt);
  EXPECT_EQ(Get(other_, "k"), "v");
}

TEST_F(ShardSetTest, AQueueBeyondItsBoundAnswersBusy) {
  engine_.reset();
  options_.limits.max_queued_bytes = 10;
  Reopen();
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", std::string(100, 'v'))),
              FailsWith("STORE_BUSY", ""));
}

TEST_F(ShardSetTest, AnotherNumberOfShardsIsRefused) {
  engine_.reset();
  options_.shards = 3;
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STATE_INVALID", "number of shards"));
}

TEST_F(ShardSetTest, ASecondOpenerIsRefused) {
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STATE_INVALID", "in use"));
}

// The log of the shard after 20 acknowledged writes, damaged in some way: opening must say so.
class DamagedLogTest : public ShardSetTest {
 protected:
  std::string LogAfterWrites() {
    for (int i = 0; i < 20; ++i) {
      EXPECT_THAT(ApplyAndWait(*engine_, hub_, PutOne(absl::StrCat("k", i), std::string(500, 'v'))),
                  IsOk());
    }
    // Copied while open: closing would flush.
    std::filesystem::copy(options_.directory, dir_.path() + "/copy",
                          std::filesystem::copy_options::recursive);
    engine_.reset();
    options_.directory = dir_.path() + "/copy";
    std::string newest;
    for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-1")) {
      if (file.path().extension() == ".log" && file.path().string() > newest) {
        newest = file.path().string();
      }
    }
    return newest;
  }
};

TEST_F(DamagedLogTest, AnUndamagedCopyOpens) {
  LogAfterWrites();
  EXPECT_THAT(ShardSet::Open(options_), IsOk());
}

TEST_F(DamagedLogTest, AFlippedBitAnywhereIsReported) {
  const std::string log = LogAfterWrites();
  const auto size = static_cast<long>(std::filesystem::file_size(log));
  for (long at : {3L, size / 4, size / 2, size - 20}) {
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char byte = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 0x10));
    file.close();
    EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_CORRUPT", "")) << at;
    std::fstream repaired(log, std::ios::in | std::ios::out | std::ios::binary);
    repaired.seekp(at);
    repaired.put(byte);
  }
}

TEST_F(DamagedLogTest, ATruncatedLogIsReported) {
  const std::string log = LogAfterWrites();
  std::filesystem::resize_file(log, std::filesystem::file_size(log) / 2);
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_CORRUPT", "acknowledged"));
}

}  // namespace
}  // namespace cmkstore::store
