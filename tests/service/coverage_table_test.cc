#include "service/coverage_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

#include "absl/strings/str_split.h"
#include "base/file.h"

namespace cmkstore::service {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(CoverageTableTest, EveryTableOfTheStoreHasARow) {
  std::set<std::string> covered;
  for (const CoverageClass& one : CoverageClasses()) {
    for (const absl::string_view tag : absl::StrSplit(one.tables, ' ', absl::SkipEmpty())) {
      covered.insert(std::string(tag));
    }
  }
  const std::string layout = *ReadFile("store/key_layout.h");
  const std::regex tag(R"((k\w+) = 0x([0-9a-f]{2}),)");
  size_t tables = 0;
  for (std::sregex_iterator at(layout.begin(), layout.end(), tag), end; at != end; ++at, ++tables) {
    EXPECT_EQ(covered.count((*at)[2].str()), 1u)
        << "add a row to service/coverage_table.cc for the table " << (*at)[1];
  }
  EXPECT_GE(tables, 13u);
}

TEST(CoverageTableTest, WhatIsUnderAKeySaysWhichAndHowAndNothingElseDoes) {
  std::set<absl::string_view> ids;
  for (const CoverageClass& one : CoverageClasses()) {
    EXPECT_TRUE(ids.insert(one.id).second) << one.id;
    const bool under_key = one.protection == Protection::kSealed ||
                           one.protection == Protection::kWrapped ||
                           one.protection == Protection::kBlinded;
    EXPECT_EQ(one.key != CoverageKeyKind::kNone, under_key) << one.id;
    EXPECT_EQ(!KeyText(one.key).empty(), under_key) << one.id;
    EXPECT_EQ(!one.algorithm.empty(), under_key) << one.id;
    EXPECT_FALSE(one.what.empty() || one.where.empty()) << one.id;
  }
}

TEST(CoverageTableTest, FilesAreKnownByTheirWholePath) {
  EXPECT_THAT(ClassesOfFile("shards/shard-0/000012.sst"), Contains("documents"));
  EXPECT_THAT(ClassesOfFile("shards/shard-12/000013.log"), Contains("data-keys"));
  EXPECT_THAT(ClassesOfFile("shards/shard-0/000012.sst"), Not(Contains("search-index")));
  EXPECT_THAT(ClassesOfFile("indexes/00ff.index-wal"), ElementsAre("search-index"));
  EXPECT_THAT(ClassesOfFile("indexes/00ff.index.rebuild-wal"), ElementsAre("search-index"));
  EXPECT_THAT(ClassesOfFile("shards/shard-0/HIGH_WATER"), ElementsAre("high-water"));
  for (const char* copy : {"cut-backup", "cut-verify", "restore-online", "restore-offline"}) {
    EXPECT_THAT(ClassesOfFile(std::string(copy) + "/shard-0/000012.sst"), Contains("documents"));
  }
  EXPECT_THAT(ClassesOfFile("cut-other/shard-0/000012.sst"), IsEmpty());
  EXPECT_THAT(ClassesOfFile("shards/shard-0/deep/000012.sst"), IsEmpty());
  EXPECT_THAT(ClassesOfFile("000012.sst"), IsEmpty());
  EXPECT_THAT(ClassesOfFile("indexes/00ff.index-shm"), IsEmpty());
}

// What the issue names must be there, by name.
TEST(CoverageTableTest, TheDependentResourcesAreNamed) {
  std::string all;
  for (const OutsideResource& one : OutsideResources()) {
    EXPECT_FALSE(one.holds.empty() || one.key.empty() || one.remedy.empty()) << one.resource;
    all += std::string(one.resource) + " " + std::string(one.key) + "\n";
  }
  for (const char* name : {"Cosmos DB", "AI Search", "Storage", "Compute instance: OS disk",
                           "scratch", "hbi_workspace", "Serverless compute: OS disk",
                           "Serverless compute: temporary disk", "not passed down"}) {
    EXPECT_NE(all.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace cmkstore::service
