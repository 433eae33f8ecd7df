// A disk that fills up or fails while the store runs: what was acknowledged stays, what was refused
// never shows, and writes go on when the disk does, without a restart.

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "store/rocksdb/shard_set.h"
#include "tests/store/apply_and_wait.h"
#include "tests/store/faulty_file_system.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

using testing::FailsWith;
using testing::IsOk;
using Fault = FaultyFileSystem::Fault;

class DiskFaultTest : public ::testing::Test {
 protected:
  DiskFaultTest() {
    options_.directory = dir_.path() + "/shards";
    options_.shards = 1;
    options_.resume_interval = absl::ZeroDuration();
    options_.env = env_.get();
  }
  void Open() {
    engine_.reset();
    auto opened = ShardSet::Open(options_);
    ASSERT_THAT(opened, IsOk());
    engine_ = std::move(*opened);
  }
  // Keeps account of what was acknowledged and what was refused.
  absl::Status Write(size_t value_bytes = 100) {
    const std::string key = absl::StrCat("k", ++written_);
    std::string value(value_bytes, '\0');
    for (char& byte : value) byte = static_cast<char>(random_());
    const auto result = ApplyAndWait(*engine_, hub_, PutOne(key, value));
    if (result.ok()) {
      rows_[key] = value;
      EXPECT_EQ(*result, rows_.size()) << "sequences have a gap";
    }
    return result.status();
  }
  void ExpectExactlyTheAcknowledgedRows() {
    auto rows = engine_->Scan(hub_, {"k", "l"}, 1'000'000);
    ASSERT_THAT(rows, IsOk());
    std::map<std::string, std::string> found;
    for (Row& row : *rows) found[row.key] = std::move(row.value);
    EXPECT_EQ(found.size(), rows_.size());
    EXPECT_TRUE(found == rows_);
    EXPECT_EQ(*engine_->LastSequence(hub_), rows_.size());
  }

  testing::TempDir dir_;
  std::mt19937 random_{20261124};
  std::shared_ptr<FaultyFileSystem> disk_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(disk_);
  ShardSetOptions options_;
  std::unique_ptr<ShardSet> engine_;
  const Partition hub_ = {0, std::string(16, 'h')};
  int written_ = 0;
  std::map<std::string, std::string> rows_;
};

struct LogFault {
  Fault fault;
  std::string reason;

  friend void PrintTo(const LogFault& fault, std::ostream* out) { *out << fault.reason; }
};

class LogFaultTest : public DiskFaultTest, public ::testing::WithParamInterface<LogFault> {};

TEST_P(LogFaultTest, WritesAreRefusedReadsGoOnAndWritesResumeWithTheDisk) {
  Open();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) ASSERT_THAT(Write(), IsOk());
    disk_->Set(GetParam().fault);
    for (int i = 0; i < 3; ++i) EXPECT_THAT(Write(), FailsWith(GetParam().reason, ""));
    ExpectExactlyTheAcknowledgedRows();
    disk_->Set(Fault::kNone);
    ASSERT_THAT(Write(), IsOk());
    ExpectExactlyTheAcknowledgedRows();
  }
  EXPECT_GT(disk_->failures(), 0);
  Open();
  ExpectExactlyTheAcknowledgedRows();
  EXPECT_THAT(Write(), IsOk());
}

// Resuming leaves nothing in memory to flush; the log in doubt must go all the same.
TEST_P(LogFaultTest, ARefusedWriteDoesNotComeBackAlsoWhenNothingElseWasInTheLog) {
  Open();
  ASSERT_THAT(Write(), IsOk());
  for (int round = 0; round < 3; ++round) {
    disk_->Set(GetParam().fault);
    EXPECT_THAT(Write(), FailsWith(GetParam().reason, ""));
    disk_->Set(Fault::kNone);
    ASSERT_THAT(engine_->DropPartition({0, std::string(16, 'x')}), IsOk());
  }
  Open();
  ExpectExactlyTheAcknowledgedRows();
}

// The process ends while the disk fails: closing must not hang, and no acknowledged row is lost.
TEST_P(LogFaultTest, ClosingWhileTheDiskFailsLosesNothing) {
  Open();
  for (int i = 0; i < 10; ++i) ASSERT_THAT(Write(), IsOk());
  disk_->Set(GetParam().fault);
  EXPECT_THAT(Write(), FailsWith(GetParam().reason, ""));
  engine_.reset();
  disk_->Set(Fault::kNone);
  Open();
  for (const auto& [key, value] : rows_) EXPECT_EQ(**engine_->Get(hub_, key), value);
}

// A server that is not ready gets no writes: the shard must find the disk again without one.
TEST_P(LogFaultTest, ANudgedShardResumesThoughNobodyWrites) {
  Open();
  ASSERT_THAT(Write(), IsOk());
  EXPECT_EQ(engine_->NudgeStopped(), 0u);
  disk_->Set(GetParam().fault);
  EXPECT_THAT(Write(), FailsWith(GetParam().reason, ""));
  EXPECT_EQ(engine_->NudgeStopped(), 1u);
  EXPECT_FALSE(engine_->States().at(0).accepting);
  EXPECT_EQ(engine_->States().at(0).commits->failed.value(), 1u);
  disk_->Set(Fault::kNone);
  while (engine_->NudgeStopped() > 0) std::this_thread::yield();
  EXPECT_TRUE(engine_->States().at(0).accepting);
  ExpectExactlyTheAcknowledgedRows();
  absl::Status written = Write();
  while (HasReason(written, "STORE_BUSY")) written = Write();
  ASSERT_THAT(written, IsOk());
}

INSTANTIATE_TEST_SUITE_P(All, LogFaultTest,
                         ::testing::Values(LogFault{Fault::kFullAfterHalf, "STORE_FULL"},
                                           LogFault{Fault::kWriteError, "STORE_BUSY"},
                                           LogFault{Fault::kSyncError, "STORE_BUSY"}));

// Tables and the MANIFEST are written in the background, when memory is flushed.
class FlushFaultTest : public DiskFaultTest, public ::testing::WithParamInterface<Fault> {};

TEST_P(FlushFaultTest, AFailedFlushStopsWritesUntilTheDiskIsBackAndLosesNothing) {
  options_.write_buffer_bytes = 256u << 10;
  Open();
  for (int i = 0; i < 20; ++i) ASSERT_THAT(Write(10'000), IsOk());
  disk_->Set(GetParam());
  absl::Status refused;
  for (int i = 0; i < 2'000 && refused.ok(); ++i) refused = Write(10'000);
  EXPECT_THAT(refused, FailsWith("STORE_BUSY", "disk"));
  ExpectExactlyTheAcknowledgedRows();
  disk_->Set(Fault::kNone);
  ASSERT_THAT(Write(), IsOk());
  for (int i = 0; i < 50; ++i) ASSERT_THAT(Write(10'000), IsOk());
  ExpectExactlyTheAcknowledgedRows();
  Open();
  ExpectExactlyTheAcknowledgedRows();
}

INSTANTIATE_TEST_SUITE_P(All, FlushFaultTest,
                         ::testing::Values(Fault::kTableWriteError, Fault::kManifestError));

// The error may come at any point of a flush: scheduled, begun, or done. Small tables make many of
// them, and a reader is in the way of every closing.
TEST_F(DiskFaultTest, WritesResumeWhateverWasUnderWayWhenTheDiskFailed) {
  options_.write_buffer_bytes = 64u << 10;
  Open();
  ASSERT_THAT(Write(), IsOk());
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) {
      const auto rows = engine_->Scan(hub_, {"k", "l"}, 100);
      if (rows.ok()) {
        EXPECT_GE(rows->size(), 1u);
      }
    }
  });
  const Fault faults[] = {Fault::kFullAfterHalf, Fault::kWriteError, Fault::kSyncError,
                          Fault::kTableWriteError, Fault::kManifestError};
  for (int round = 0; round < 20; ++round) {
    // A background error of the round before may still be told of here.
    const size_t before = random_() % 12;
    for (size_t i = 0; i < before; ++i) Write(8'000).IgnoreError();
    disk_->Set(faults[round % 5]);
    for (int i = 0; i < 3; ++i) Write(8'000).IgnoreError();
    disk_->Set(Fault::kNone);
    // What failed in the background stops the write after it, and may be told of late.
    absl::Status last;
    for (int i = 0; i < 3 || (!last.ok() && i < 50); ++i) last = Write();
    EXPECT_THAT(last, IsOk()) << "round " << round;
  }
  stop = true;
  reader.join();
  ExpectExactlyTheAcknowledgedRows();
  Open();
  ExpectExactlyTheAcknowledgedRows();
}

TEST_F(DiskFaultTest, ResumingIsTriedOncePerInterval) {
  options_.resume_interval = absl::Hours(1);
  Open();
  ASSERT_THAT(Write(), IsOk());
  disk_->Set(Fault::kWriteError);
  EXPECT_THAT(Write(), FailsWith("STORE_BUSY", ""));
  disk_->Set(Fault::kNone);
  EXPECT_THAT(Write(), FailsWith("STORE_BUSY", ""));
  ExpectExactlyTheAcknowledgedRows();
}

TEST_F(DiskFaultTest, AShardThatFailsAgainCountsAsStoppedUntilItHasGoneOnForLongEnough) {
  const auto accepting = [this] { return engine_->States().at(0).accepting; };
  const auto fail_and_resume = [this] {
    disk_->Set(Fault::kWriteError);
    EXPECT_THAT(Write(), FailsWith("STORE_BUSY", ""));
    disk_->Set(Fault::kNone);
    EXPECT_THAT(Write(), IsOk());
  };
  Open();
  fail_and_resume();
  EXPECT_TRUE(accepting());
  fail_and_resume();
  EXPECT_FALSE(accepting()) << "though it takes writes";
  EXPECT_EQ(engine_->NudgeStopped(), 0u);
  EXPECT_THAT(Write(), IsOk());
  EXPECT_FALSE(accepting());
  ExpectExactlyTheAcknowledgedRows();

  options_.proving_time = absl::Milliseconds(500);
  Open();
  while (accepting()) fail_and_resume();
  while (!accepting()) engine_->NudgeStopped();
  fail_and_resume();
  EXPECT_TRUE(accepting()) << "a failure of its own";
}

TEST_F(DiskFaultTest, AStoreThatCannotBeOpenedSaysSo) {
  disk_->Set(Fault::kFullAfterHalf);
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_FULL", "shard-"));
  disk_->Set(Fault::kNone);
  Open();
  EXPECT_THAT(Write(), IsOk());
}

}  // namespace
}  // namespace cmkstore::store
