#include "service/descriptor_budget.h"

#include <gtest/gtest.h>

namespace cmkstore::service {
namespace {

TEST(DescriptorBudgetTest, ConnectionsShardsAndIndexesFitTogether) {
  for (const size_t descriptors : {8'192, 65'536, 1'048'576}) {
    for (const size_t shards : {1, 4, 64}) {
      for (const size_t indexes : {1, 256, 16'384}) {
        const DescriptorBudget budget = DealDescriptors(descriptors, shards, indexes);
        const size_t connections = 2 * (descriptors / 3);
        EXPECT_LE(connections + 3 * budget.open_indexes + shards * budget.table_files_per_shard,
                  descriptors)
            << descriptors << " " << shards << " " << indexes;
        EXPECT_GE(budget.open_indexes, 1u);
        EXPECT_LE(budget.open_indexes, indexes);
      }
    }
  }
}

TEST(DescriptorBudgetTest, TheDefaultsHaveAllThatTheyWant) {
  const DescriptorBudget budget = DealDescriptors(65'536, 4, 256);
  EXPECT_EQ(budget.open_indexes, 256u);
  EXPECT_EQ(budget.table_files_per_shard, 512u);
  EXPECT_FALSE(budget.scarce);
  EXPECT_FALSE(DealDescriptors(65'536, 64, 256).scarce);
}

TEST(DescriptorBudgetTest, WhatDoesNotFitIsTold) {
  EXPECT_TRUE(DealDescriptors(65'536, 4, 16'384).scarce);
  EXPECT_TRUE(DealDescriptors(1'024, 4, 256).scarce);
  EXPECT_EQ(DealDescriptors(256, 64, 256).table_files_per_shard, 20u);
}

}  // namespace
}  // namespace cmkstore::service
