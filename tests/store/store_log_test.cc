#include "store/rocksdb/store_log.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "store/rocksdb/shard_set.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

TEST(StoreLogTest, WarningsAndErrorsGoIntoOurLogAndTheRestNowhere) {
  const testing::TempDir dir;
  const std::string log = dir.path() + "/log.jsonl";
  StoreLog earlier;  // What a process has logged before costs the lines below nothing.
  for (int i = 0; i < 100; ++i) rocksdb::Warn(&earlier, "an earlier line");
  SetLogFile(log);
  StoreLog rocks;
  rocksdb::Info(&rocks, "an ordinary %s", "line");
  rocksdb::Warn(&rocks, "a worrying %s", "line");
  rocksdb::Error(&rocks, "%s", std::string(10'000, 'x').c_str());
  SetLogFile("/dev/stderr");
  const std::string logged = *ReadFile(log);
  EXPECT_EQ(logged.find("ordinary"), std::string::npos);
  EXPECT_NE(logged.find("a worrying line"), std::string::npos);
  EXPECT_NE(logged.find("xxxx"), std::string::npos);
  EXPECT_LT(logged.size(), 2'000u);
}

TEST(StoreLogTest, AFirstStartAndACutAreNoErrors) {
  const testing::TempDir dir;
  const std::string log = dir.path() + "/log.jsonl";
  SetLogFile(log);
  ShardSetOptions options;
  options.directory = dir.path() + "/shards";
  options.shards = 1;
  auto opened = ShardSet::Open(options);
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE((*opened)->Cut(dir.path() + "/cut").ok());
  SetLogFile("/dev/stderr");
  EXPECT_EQ(*ReadFile(log), "");
}

// A file of its own on a full disk ended the process.
TEST(StoreLogTest, NoShardKeepsALogFileOnTheDisk) {
  const testing::TempDir dir;
  ShardSetOptions options;
  options.directory = dir.path() + "/shards";
  options.shards = 1;
  ASSERT_TRUE(ShardSet::Open(options).ok());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options.directory)) {
    EXPECT_NE(entry.path().filename().string().substr(0, 3), "LOG") << entry.path();
  }
}

}  // namespace
}  // namespace cmkstore::store
