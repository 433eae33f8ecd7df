#include "store/rocksdb/shard_set.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "tests/store/apply_and_wait.h"
#include "tests/store/engine_contract.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

using testing::FailsWith;
using testing::IsOk;
using testing::TempDir;

std::unique_ptr<Engine> OpenTwoShards(const std::string& directory, const CommitLimits& limits) {
  ShardSetOptions options;
  options.directory = directory;
  options.shards = 2;
  options.limits = limits;
  auto engine = ShardSet::Open(options);
  return engine.ok() ? std::move(*engine) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(RocksDb, EngineContractTest,
                         ::testing::Values(EngineKind{"rocksdb", OpenTwoShards}));

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

TEST_F(ShardSetTest, ADirectoryThatCannotBeReadIsNotTakenForANewOne) {
  options_.directory = dir_.path() + "/loop";
  std::filesystem::create_symlink(options_.directory, options_.directory);
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STATE_INVALID", "cannot be read"));
}

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

TEST_F(ShardSetTest, ADroppedPartitionStaysGoneAfterReopening) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
  ASSERT_THAT(ApplyAndWait(*engine_, other_, PutOne("k", "v")), IsOk());
  ASSERT_THAT(engine_->DropPartition(hub_), IsOk());
  Reopen();
  EXPECT_EQ(Get(hub_, "k"), std::nullopt);
  EXPECT_EQ(Get(other_, "k"), "v");
  EXPECT_EQ(*ApplyAndWait(*engine_, hub_, PutOne("k", "v")), 1u);
}

TEST_F(ShardSetTest, AStopGivesUpWhatADropWouldRewriteAndTheRowsAreGone) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
  engine_->StopGivingSpaceBack();
  EXPECT_THAT(engine_->DropPartition(hub_), FailsWith("STORE_BUSY", ""));
  EXPECT_EQ(Get(hub_, "k"), std::nullopt);
  Reopen();
  EXPECT_THAT(engine_->DropPartition(hub_), IsOk());
}

TEST_F(ShardSetTest, AKillInTheFirstStartIsNoOtherNumberOfShards) {
  ShardSetOptions options;
  options.directory = dir_.path() + "/begun";
  options.shards = 2;
  std::filesystem::create_directories(options.directory + "/shard-1");
  EXPECT_THAT(ShardSet::Open(options), IsOk());
}

TEST_F(ShardSetTest, AShardThatIsGoneIsNotMadeAnew) {
  ShardSetOptions options;
  options.directory = dir_.path() + "/three";
  options.shards = 3;
  {
    const auto three = ShardSet::Open(options);
    ASSERT_THAT(three, IsOk());
    ASSERT_THAT(ApplyAndWait(**three, hub_, PutOne("k", "v")), IsOk());
    ASSERT_THAT(ApplyAndWait(**three, CatalogPartition(), PutOne("k", "v")), IsOk());
  }
  const auto shard = [&](int i) { return absl::StrCat(options.directory, "/shard-", i); };
  const std::string away = dir_.path() + "/away";
  for (const int lost : {0, 1}) {
    std::filesystem::rename(shard(lost), away);
    EXPECT_THAT(ShardSet::Open(options), FailsWith("STORE_CORRUPT", absl::StrCat("shard-", lost)));
    std::filesystem::create_directory(shard(lost));  // nothing is mounted there
    EXPECT_THAT(ShardSet::Open(options), FailsWith("STORE_CORRUPT", absl::StrCat("shard-", lost)));
    std::filesystem::remove_all(shard(lost));
    std::filesystem::rename(away, shard(lost));
  }
  std::filesystem::rename(shard(2), away);
  EXPECT_THAT(ShardSet::Open(options), FailsWith("STATE_INVALID", "restore the newest backup"));
  std::filesystem::rename(away, shard(2));
  const auto whole = ShardSet::Open(options);
  ASSERT_THAT(whole, IsOk());
  EXPECT_EQ(**(*whole)->Get(hub_, "k"), "v");
}

TEST_F(ShardSetTest, AnotherNumberOfShardsIsRefused) {
  engine_.reset();
  options_.shards = 3;
  EXPECT_THAT(ShardSet::Open(options_),
              FailsWith("STATE_INVALID", "has 2 shards, and this server is to have 3"));
}

TEST_F(ShardSetTest, ASecondOpenerIsRefused) {
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STATE_INVALID", "in use"));
}

TEST_F(ShardSetTest, AnErrorOfTheDiskIsNotTakenForASecondOpener) {
  engine_.reset();
  const std::string lock = options_.directory + "/shard-0/LOCK";
  std::filesystem::remove(lock);
  std::filesystem::create_directory(lock);
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_CORRUPT", "the disk gave an error"));
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
    EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_CORRUPT", "shard-")) << at;
    std::fstream repaired(log, std::ios::in | std::ios::out | std::ios::binary);
    repaired.seekp(at);
    repaired.put(byte);
  }
}

TEST_F(DamagedLogTest, WithoutItsHighWaterAShardWithWritesIsRefused) {
  LogAfterWrites();
  const std::string high_water = options_.directory + "/shard-1/HIGH_WATER";
  std::filesystem::remove(high_water);
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_CORRUPT", "HIGH_WATER is missing"));
  std::ofstream(high_water).close();  // by hand, to go on with what is there
  EXPECT_THAT(ShardSet::Open(options_), IsOk());
}

TEST_F(DamagedLogTest, ATruncatedLogIsReported) {
  const std::string log = LogAfterWrites();
  std::filesystem::resize_file(log, std::filesystem::file_size(log) / 2);
  EXPECT_THAT(ShardSet::Open(options_), FailsWith("STORE_CORRUPT", "acknowledged"));
}

}  // namespace
}  // namespace cmkstore::store
