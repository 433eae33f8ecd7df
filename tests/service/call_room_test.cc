#include "service/call_room.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

TEST(CallRoomTest, OneTenantHoldsAQuarterAndAllTogetherTheWhole) {
  CallRoom room(16 * CallRoom::kCall);
  std::vector<std::unique_ptr<CallRoom::Hold>> held;
  const auto take = [&](const std::string& tenant, size_t calls) {
    held.push_back(std::make_unique<CallRoom::Hold>());
    return room.Take(tenant, calls * CallRoom::kCall, *held.back());
  };
  EXPECT_THAT(take("a", 3), IsOk());
  EXPECT_THAT(take("a", 2), FailsWith("QUOTA_EXCEEDED", "too many calls are under way"));
  EXPECT_THAT(take("a", 1), IsOk()) << "what was refused holds nothing";
  EXPECT_THAT(take("a", 1), FailsWith("QUOTA_EXCEEDED", ""));
  for (const char* tenant : {"b", "c", "d"}) EXPECT_THAT(take(tenant, 4), IsOk());
  EXPECT_THAT(take("e", 1), FailsWith("QUOTA_EXCEEDED", ""));
  held.clear();
  EXPECT_THAT(take("e", 4), IsOk());
}

TEST(CallRoomTest, ACallThatHoldsMoreGivesAllOfItBack) {
  CallRoom room(16 * CallRoom::kCall);
  for (int i = 0; i < 3; ++i) {
    CallRoom::Hold hold;
    EXPECT_THAT(room.Take("a", CallRoom::kCall, hold), IsOk());
    EXPECT_THAT(room.Take("a", 3 * CallRoom::kCall, hold), IsOk());
    EXPECT_THAT(room.Take("a", 1, hold), FailsWith("QUOTA_EXCEEDED", ""));
  }
}

}  // namespace
}  // namespace cmkstore::service
