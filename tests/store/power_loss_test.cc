// The power goes while writers run: what was acknowledged is there afterwards. That this test can
// fail is shown by the same on a disk that ignores syncs.

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "store/rocksdb/shard_set.h"
#include "tests/store/apply_and_wait.h"
#include "tests/store/power_loss_file_system.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

using testing::IsOk;

constexpr int kWriters = 4;

class PowerLossTest : public ::testing::Test {
 protected:
  PowerLossTest() {
    options_.directory = dir_.path() + "/shards";
    options_.shards = 1;
    options_.write_buffer_bytes = 256u << 10;  // so that tables are written and compacted too
    random_.seed(seed_);
  }
  absl::Status Open() {
    options_.env = env_.get();
    auto opened = ShardSet::Open(options_);
    if (opened.ok()) engine_ = *std::move(opened);
    return opened.status();
  }
  // Writers run until the power goes after about `commits` of them; then the disk is what it is.
  void WriteUntilThePowerGoes(int commits) {
    std::atomic<int> left = commits;
    std::vector<std::thread> writers;
    std::vector<std::map<std::string, std::string>> acknowledged(kWriters);
    for (size_t writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] {
        for (;;) {
          const std::string key = absl::StrCat("k", writer, "-", next_[writer]++ % 500);
          const std::string value = absl::StrCat(next_[writer], std::string(700, 'v'));
          pending_[writer] = {key, value};
          if (!ApplyAndWait(*engine_, hub_, PutOne(key, value)).ok()) return;
          acknowledged[writer][key] = value;
          if (--left == 0) disk_.Cut();
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    engine_.reset();
    disk_.DropWhatWasNotSynced(random_);
    for (auto& rows : acknowledged) {
      for (auto& [key, value] : rows) rows_[key] = std::move(value);
    }
  }
  // Rows that are not what was acknowledged last. The write in flight when the power went may be
  // there or not.
  int Lost() {
    int lost = 0;
    for (auto& [key, value] : rows_) {
      const auto row = engine_->Get(hub_, key);
      if (row.ok() && row->has_value() && **row == value) continue;
      const auto pending = std::find(pending_.begin(), pending_.end(),
                                     std::make_pair(key, row.ok() ? row->value_or("") : ""));
      if (pending == pending_.end()) {
        ++lost;
      } else {
        value = pending->second;
      }
    }
    return lost;
  }

  const uint64_t seed_ = std::random_device()();
  std::mt19937_64 random_;
  testing::TempDir dir_;
  PowerLossFileSystem disk_;
  std::shared_ptr<rocksdb::FileSystem> shared_{&disk_, [](rocksdb::FileSystem*) {}};
  std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(shared_);
  ShardSetOptions options_;
  std::unique_ptr<ShardSet> engine_;
  const Partition hub_ = {0, std::string(16, 'h')};
  std::map<std::string, std::string> rows_;
  std::vector<std::pair<std::string, std::string>> pending_{kWriters};
  uint64_t next_[kWriters] = {};
};

TEST_F(PowerLossTest, NothingAcknowledgedIsLost) {
  const int cycles = std::getenv("CMKSTORE_SLOW") != nullptr ? 1000 : 20;
  for (int cycle = 0; cycle < cycles; ++cycle) {
    ASSERT_THAT(Open(), IsOk()) << "cycle " << cycle << " seed " << seed_;
    ASSERT_EQ(Lost(), 0) << "cycle " << cycle << " seed " << seed_;
    WriteUntilThePowerGoes(1 + static_cast<int>(random_() % 400));
  }
  ASSERT_THAT(Open(), IsOk());
  EXPECT_EQ(Lost(), 0) << "seed " << seed_;
}

// The control: without syncs writes are lost, and the loss is reported or seen.
TEST_F(PowerLossTest, OnADiskThatIgnoresSyncsTheLossIsFound) {
  ASSERT_THAT(Open(), IsOk());
  disk_.IgnoreSyncs();
  int found = 0;
  for (int cycle = 0; cycle < 20 && found == 0; ++cycle) {
    WriteUntilThePowerGoes(100);
    const absl::Status opened = Open();
    if (HasReason(opened, "STORE_CORRUPT")) {
      ++found;
    } else {
      ASSERT_THAT(opened, IsOk());
      found += Lost();
    }
  }
  EXPECT_GT(found, 0) << "seed " << seed_;
}

}  // namespace
}  // namespace cmkstore::store
