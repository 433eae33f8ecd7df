// A cut of shards of which one was stopped by damage.

#include "service/backup/cut.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

class CutTest : public ::testing::Test {
 protected:
  CutTest() {
    options_.directory = dir_.path() + "/shards";
    options_.shards = 2;
  }
  void Open() {
    shards_.reset();
    auto opened = store::ShardSet::Open(options_);
    ASSERT_THAT(opened, IsOk());
    shards_ = *std::move(opened);
  }
  absl::Status Write(int row) {
    return store::ApplyAndWait(*shards_, {0, std::string(16, 'h')},
                               store::PutOne(absl::StrCat("k", row), std::string(300, 'v')))
        .status();
  }
  void MakeATable() {
    for (int row = 0; row < 100; ++row) ASSERT_THAT(Write(row), IsOk());
    ASSERT_NO_FATAL_FAILURE(Open());
  }

  testing::TempDir dir_;
  store::ShardSetOptions options_;
  std::unique_ptr<store::ShardSet> shards_;
};

TEST_F(CutTest, DespiteDamageItIsMadeOnceTheShardHasBeenOpenedAnew) {
  ASSERT_NO_FATAL_FAILURE(Open());
  for (int tables = 0; tables < 3; ++tables) ASSERT_NO_FATAL_FAILURE(MakeATable());
  for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-0")) {
    if (file.path().extension() != ".sst") continue;
    std::string content = *ReadFile(file.path());
    content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 0x10);
    ASSERT_TRUE(WriteFileDurably(file.path(), content));
  }
  ASSERT_NO_FATAL_FAILURE(MakeATable());  // a fourth, and so a compaction
  absl::Status written;
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (written.ok() && absl::Now() < give_up) written = Write(0);
  ASSERT_THAT(written, FailsWith("STORE_CORRUPT", ""));

  SystemClock clock;
  const auto go_on = [] { return absl::OkStatus(); };
  const std::string path = dir_.path() + "/cut";
  EXPECT_THAT(CutShards(*shards_, path, clock, go_on, /*despite_damage=*/true), IsOk());
  EXPECT_TRUE(std::filesystem::exists(path + "/shard-0/CURRENT"));
}

}  // namespace
}  // namespace cmkstore::service
