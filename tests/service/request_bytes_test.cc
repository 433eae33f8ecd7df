#include "service/request_bytes.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

constexpr size_t kMiB = 1u << 20;

TEST(RequestBytesTest, OneTenantHoldsAQuarterAndAllTogetherTheWhole) {
  RequestBytes bytes(16 * kMiB, "requests under way");
  std::vector<absl::StatusOr<RequestBytes::Hold>> held;
  const auto take = [&](const std::string& tenant, size_t size) {
    auto hold = bytes.Take(tenant, size);
    const absl::Status status = hold.status();
    if (status.ok()) held.push_back(std::move(hold));
    return status;
  };
  EXPECT_THAT(take("a", 3 * kMiB), IsOk());
  EXPECT_THAT(take("a", 2 * kMiB),
              FailsWith("QUOTA_EXCEEDED", "the requests under way are too large together"));
  EXPECT_THAT(take("a", RequestBytes::kSmall), IsOk()) << "small ones are not counted";
  EXPECT_THAT(take("a", kMiB), IsOk());
  for (const char* tenant : {"b", "c", "d"}) EXPECT_THAT(take(tenant, 4 * kMiB), IsOk());
  EXPECT_THAT(take("e", kMiB), FailsWith("QUOTA_EXCEEDED", ""));
  held.clear();
  EXPECT_THAT(take("e", 4 * kMiB), IsOk());
}

}  // namespace
}  // namespace cmkstore::service
