// A flipped bit in any file of a shard is an error or harmless: never another answer.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "store/rocksdb/shard_set.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

using testing::FailsWith;
using ::testing::IsEmpty;
using testing::IsOk;

absl::Status NoPace(uint64_t /*bytes*/) { return absl::OkStatus(); }

void FlipBit(const std::string& path, uintmax_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 0x10));
}

class BitRotTest : public ::testing::Test {
 protected:
  BitRotTest() {
    options_.directory = dir_.path() + "/shards";
    options_.shards = 1;
  }
  absl::Status Open() {
    engine_.reset();
    auto opened = ShardSet::Open(options_);
    if (opened.ok()) engine_ = *std::move(opened);
    return opened.status();
  }
  void Write(int rows) {
    for (int i = 0; i < rows; ++i) {
      const std::string key = absl::StrCat("k", rows_.size());
      const std::string value = absl::StrCat(rows_.size(), std::string(300, 'v'));
      ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, value)), IsOk());
      rows_[key] = value;
    }
  }
  // OK: all rows are there. Anything else that is no error is a failure of the test.
  absl::Status ReadAll() {
    const absl::Status opened = Open();
    if (!opened.ok()) return opened;
    const auto rows = engine_->Scan(hub_, {"k", "l"}, 100'000);
    if (!rows.ok()) return rows.status();
    std::map<std::string, std::string> found;
    for (const Row& row : *rows) found[row.key] = row.value;
    EXPECT_EQ(found == rows_, true) << found.size() << " rows of " << rows_.size();
    return absl::OkStatus();
  }

  testing::TempDir dir_;
  ShardSetOptions options_;
  std::unique_ptr<ShardSet> engine_;
  const Partition hub_ = {0, std::string(16, 'h')};
  std::map<std::string, std::string> rows_;
};

TEST_F(BitRotTest, InEveryFileOfAShardItIsReportedOrHarmless) {
  // Each opening turns the log before it into a table, so that the manifest has several records.
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Open(), IsOk());
    Write(60);
  }
  engine_.reset();
  const std::string good = options_.directory + ".good";
  std::filesystem::rename(options_.directory, good);
  std::map<std::string, int> reported, tried;
  for (const auto& file : std::filesystem::directory_iterator(good + "/shard-0")) {
    const std::string name = file.path().filename();
    const std::string kind = name.starts_with("MANIFEST")      ? "MANIFEST"
                             : file.path().extension().empty() ? name
                                                               : file.path().extension().string();
    if (kind == "LOG" || name.starts_with("LOG.") || file.file_size() == 0) continue;
    const uintmax_t step = std::max<uintmax_t>(1, file.file_size() / 24);
    for (uintmax_t at = step / 2; at < file.file_size(); at += step) {
      engine_.reset();
      std::filesystem::remove_all(options_.directory);
      std::filesystem::copy(good, options_.directory, std::filesystem::copy_options::recursive);
      FlipBit(absl::StrCat(options_.directory, "/shard-0/", name), at);
      ++tried[kind];
      reported[kind] += ReadAll().ok() ? 0 : 1;
    }
  }
  for (const char* kind : {".sst", ".log", "MANIFEST"}) {
    EXPECT_GT(tried[kind], 10) << kind;
    EXPECT_GT(reported[kind], tried[kind] / 2) << kind;
  }
}

// What no read touches, the check of whole files finds: before a compaction reads it.
TEST_F(BitRotTest, TheCheckOfAllFilesFindsWhatReadsDoNotTouch) {
  ASSERT_THAT(Open(), IsOk());
  for (int tables = 0; tables < 2; ++tables) {
    Write(100);
    ASSERT_THAT(Open(), IsOk());  // a table now
  }
  std::vector<DamagedTableFile> damaged;
  const auto note = [&damaged](const DamagedTableFile& file) { damaged.push_back(file); };
  const auto sound = engine_->VerifyFiles(NoPace, note);
  ASSERT_THAT(sound, IsOk());
  EXPECT_GT(sound->files, 0u);
  EXPECT_GT(sound->bytes, 30'000u);
  EXPECT_THAT(damaged, IsEmpty());
  for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-0")) {
    if (file.path().extension() == ".sst") FlipBit(file.path(), file.file_size() / 2);
  }
  const auto all = engine_->VerifyFiles(NoPace, note);
  ASSERT_THAT(all, IsOk());
  EXPECT_EQ(damaged.size(), all->files) << "one bit in each";
  for (const DamagedTableFile& file : damaged) {
    EXPECT_THAT(file.what, ::testing::HasSubstr(absl::StrCat("shard-", file.shard, "/")));
    EXPECT_THAT(file.what, ::testing::HasSubstr("does not match"));
  }
  damaged.clear();
  const auto cut_off = engine_->VerifyFiles(
      [&](uint64_t) { return damaged.empty() ? absl::OkStatus() : Cancelled("enough"); }, note);
  EXPECT_THAT(cut_off, FailsWith("CANCELLED", "enough"));
  EXPECT_EQ(damaged.size(), 1u) << "told although not all was read";
}

TEST_F(BitRotTest, AFileThatCannotBeOpenedForWantOfADescriptorIsNotDamaged) {
  ASSERT_THAT(Open(), IsOk());
  Write(100);
  ASSERT_THAT(Open(), IsOk());  // a table now
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  size_t damaged = 0;
  const auto looked_at =
      engine_->VerifyFiles(NoPace, [&damaged](const DamagedTableFile&) { ++damaged; });
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(looked_at, FailsWith("STORE_BUSY", "cannot be opened"));
  EXPECT_EQ(damaged, 0u);
}

TEST_F(BitRotTest, ReadingGoesOnBehindADamagedBlock) {
  ASSERT_THAT(Open(), IsOk());
  Write(1000);
  ASSERT_THAT(Open(), IsOk());  // a table now
  for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-0")) {
    if (file.path().extension() == ".sst") FlipBit(file.path(), file.file_size() / 2);
  }
  ASSERT_THAT(Open(), IsOk());
  KeyRange range{"k", "l"};
  EXPECT_THAT(engine_->Scan(hub_, range, 2000), FailsWith("STORE_CORRUPT", "shard-0: "));
  std::map<std::string, std::string> found;
  int gaps = 0;
  for (bool more = true; more;) {
    const auto part = engine_->ScanReadable(hub_, range, 100);
    ASSERT_THAT(part, IsOk());
    for (const Row& row : part->rows) found[row.key] = row.value;
    more = part->rows.size() == 100;
    if (more) range.begin = part->rows.back().key + '\0';
    if (!part->behind_damage.has_value()) continue;
    ++gaps;
    more = *part->behind_damage < range.end;
    range.begin = *part->behind_damage;
  }
  EXPECT_EQ(gaps, 1);
  EXPECT_LT(found.size(), 1000u);
  EXPECT_GT(found.size(), 1000u - 60) << "a block of 16 KiB has some 50 rows";
  for (const auto& [key, value] : found) EXPECT_EQ(value, rows_[key]);
}

// Keys as documents have them: what is beside each other in a block may be far apart as a number.
TEST_F(BitRotTest, NoRowOutsideOfDamagedBlocksIsPassedWhereBlocksHoldABorderOfHubsOrProjects) {
  constexpr int kHubs = 5, kProjects = 5, kDocuments = 20, kInABlock = 8;
  ASSERT_THAT(Open(), IsOk());
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same at each run
  const auto uid = [&random] {
    std::string bytes;
    for (int i = 0; i < 16; ++i) bytes.push_back(static_cast<char>(random()));
    return bytes;
  };
  std::vector<Partition> hubs;
  for (int hub = 0; hub < kHubs; ++hub) {
    hubs.push_back({0, uid()});
    for (int project = 0; project < kProjects; ++project) {
      const std::string scope = '\x10' + uid() + uid();
      WriteSet writes;
      for (int i = 0; i < kDocuments; ++i) {
        writes.PutRecord(scope + uid(), std::string(2'000, 'v'));
      }
      ASSERT_THAT(ApplyAndWait(*engine_, hubs.back(), std::move(writes)), IsOk());
    }
  }
  ASSERT_THAT(Open(), IsOk());             // a table now, of 16 KiB blocks
  constexpr uintmax_t kStretch = 300'000;  // all damaged; behind it single blocks
  int single = 0;
  for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-0")) {
    if (file.path().extension() != ".sst") continue;
    for (uintmax_t at = 0; at <= kStretch; at += 10'000) FlipBit(file.path(), at);
    for (uintmax_t at = kStretch + 50'000; at + 30'000 < file.file_size(); at += 50'000) {
      FlipBit(file.path(), at);
      ++single;
    }
  }
  ASSERT_GT(single, 10);
  ASSERT_THAT(Open(), IsOk());
  const int readable = kHubs * kProjects * kDocuments - kStretch / 2'000 - (single + 1) * kInABlock;

  int listed = 0;
  for (const Partition& hub : hubs) {
    KeyRange range{"\x10", "\x11"};
    for (bool more = true; more;) {
      const auto part = engine_->ScanReadable(hub, range, 10'000);
      ASSERT_THAT(part, IsOk());
      listed += static_cast<int>(part->rows.size());
      more = part->behind_damage.has_value() && *part->behind_damage < range.end;
      range.begin = part->behind_damage.value_or("");
    }
  }
  EXPECT_GE(listed, readable);

  int walked = 0, gaps = 0;
  uint64_t passed = 0;
  std::string after;
  for (bool more = true; more;) {
    const auto rows = engine_->ReadRows(0, after, 1u << 20);
    if (rows.ok()) {
      for (const Row& row : *rows) walked += row.value.size() == 2'000 ? 1 : 0;
      more = !rows->empty();
      if (more) after = rows->back().key;
      continue;
    }
    const auto gap = engine_->GapBehind(0, after);
    ASSERT_THAT(gap, IsOk());
    passed += gap->bytes;
    after = gap->end;
    ++gaps;
  }
  EXPECT_EQ(gaps, 1 + single);
  EXPECT_LT(passed, kStretch + (gaps * (48u << 10)));
  EXPECT_GE(walked, readable);
}

TEST_F(BitRotTest, AShardWhoseCompactionMeetsDamageCountsAsStoppedAlsoWhileItTakesWrites) {
  options_.resume_interval = absl::ZeroDuration();
  ASSERT_THAT(Open(), IsOk());
  for (int tables = 0; tables < 3; ++tables) {
    Write(100);
    ASSERT_THAT(Open(), IsOk());
  }
  for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-0")) {
    if (file.path().extension() == ".sst") FlipBit(file.path(), file.file_size() / 2);
  }
  Write(100);
  ASSERT_THAT(Open(), IsOk());  // a fourth table, and so a compaction
  int failures = 0;
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (failures < 4 && absl::Now() < give_up) {
    const auto written = ApplyAndWait(*engine_, hub_, PutOne("more", "v"));
    failures += written.ok() ? 0 : 1;
    if (!written.ok()) {
      EXPECT_THAT(written, FailsWith("STORE_CORRUPT", ""));
    }
    if (failures >= 2) {
      EXPECT_FALSE(engine_->States().at(0).accepting);
    }
  }
  EXPECT_EQ(failures, 4);
}

TEST_F(BitRotTest, ATornTailOfTheLogLosesNothingAcknowledged) {
  ASSERT_THAT(Open(), IsOk());
  Write(30);
  // As a crash in the middle of the next write leaves it.
  std::filesystem::copy(options_.directory, options_.directory + ".copy",
                        std::filesystem::copy_options::recursive);
  engine_.reset();
  options_.directory += ".copy";
  int torn = 0;
  for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/shard-0")) {
    if (file.path().extension() != ".log") continue;
    std::ofstream(file.path(), std::ios::binary | std::ios::app)
        << std::string("\x12\x34\x56\x78\x00\x01\x01half a record", 20);
    ++torn;
  }
  EXPECT_EQ(torn, 1);
  EXPECT_THAT(ReadAll(), IsOk());
}

}  // namespace
}  // namespace cmkstore::store
