#include "service/request_quota.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

class RequestQuotaTest : public ::testing::Test {
 protected:
  void Set(QuotaLimits of_each, std::map<std::string, QuotaLimits, std::less<>> of_some = {}) {
    quota_.Set({of_each, std::move(of_some)});
  }
  // How many of `calls` made now are let in.
  int Admitted(const std::string& tenant, int calls) {
    int admitted = 0;
    for (int i = 0; i < calls; ++i) admitted += quota_.Take(tenant).ok() ? 1 : 0;
    return admitted;
  }

  testing::VirtualClock clock_;
  RequestQuota quota_{clock_};
};

TEST_F(RequestQuotaTest, WithoutALimitEveryCallIsLetIn) {
  EXPECT_EQ(Admitted("a", 10'000), 10'000);
  Set({}, {{"b", {.requests_per_second = 1}}});
  EXPECT_EQ(Admitted("a", 10'000), 10'000);
  EXPECT_EQ(quota_.refused(), 0u);
}

TEST_F(RequestQuotaTest, ASecondsCallsMayComeAtOnceAndThenOneAfterTheOther) {
  Set({.requests_per_second = 10});
  EXPECT_EQ(Admitted("a", 50), 10);
  clock_.Advance(absl::Milliseconds(99));
  EXPECT_EQ(Admitted("a", 50), 0);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Admitted("a", 50), 1);
  clock_.Advance(absl::Milliseconds(350));
  EXPECT_EQ(Admitted("a", 50), 3);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Admitted("a", 50), 10) << "a long rest gives no more than the burst";
  EXPECT_EQ(quota_.refused(), 40u + 50 + 49 + 47 + 40);
}

TEST_F(RequestQuotaTest, TheBurstIsSetApartFromTheRate) {
  Set({.requests_per_second = 10, .burst = 3});
  EXPECT_EQ(Admitted("a", 50), 3);
  Set({.requests_per_second = 1, .burst = 20});
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Admitted("a", 50), 20);
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(Admitted("a", 50), 2);
}

TEST_F(RequestQuotaTest, WhoComesWhenToldIsLetIn) {
  Set({.requests_per_second = 3});
  EXPECT_EQ(Admitted("a", 3), 3);
  const absl::Status refused = quota_.Take("a");
  EXPECT_THAT(refused, FailsWith("QUOTA_EXCEEDED", "3 calls a second"));
  ASSERT_EQ(RetryAfterOf(refused), absl::Milliseconds(334)) << "a third of a second, rounded up";
  EXPECT_EQ(CauseOf(refused), "requests_per_second");
  ASSERT_EQ(ViolationsOf(refused).size(), 1u);
  EXPECT_EQ(ViolationsOf(refused)[0].subject, "tenants/a");
  clock_.Advance(*RetryAfterOf(refused));
  EXPECT_THAT(quota_.Take("a"), IsOk());
}

TEST_F(RequestQuotaTest, ARefusedCallCostsNothing) {
  Set({.requests_per_second = 10});
  EXPECT_EQ(Admitted("a", 10'000), 10);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Admitted("a", 50), 10);
}

TEST_F(RequestQuotaTest, EachTenantHasABucketAndMayHaveALimitOfItsOwn) {
  Set({.requests_per_second = 10},
      {{"big", {.requests_per_second = 100}}, {"free", {.requests_per_second = 0}}});
  EXPECT_EQ(Admitted("noisy", 10'000), 10);
  EXPECT_EQ(Admitted("quiet", 10), 10);
  EXPECT_EQ(Admitted("big", 1000), 100);
  EXPECT_EQ(Admitted("free", 1000), 1000);
}

TEST_F(RequestQuotaTest, ANewLimitAppliesFromTheNextCallOn) {
  Set({.requests_per_second = 10});
  EXPECT_EQ(Admitted("a", 50), 10);
  Set({.requests_per_second = 1000});
  clock_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(Admitted("a", 5), 5);
  Set({});
  EXPECT_EQ(Admitted("a", 1000), 1000);
}

TEST_F(RequestQuotaTest, WhatWasSpentUnderALowerLimitIsNotOwedUnderAHigherOne) {
  Set({.requests_per_second = 1, .burst = 300});
  EXPECT_EQ(Admitted("a", 1000), 300);  // five minutes until it is full again
  Set({.requests_per_second = 100});
  EXPECT_EQ(RetryAfterOf(quota_.Take("a")), absl::Milliseconds(10)) << "empty, and no more";
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Admitted("a", 1000), 100);
}

// As many tenants as rows, each with calls left: none gets more by the others' coming and going.
TEST_F(RequestQuotaTest, ManyTenantsDoNotTakeEachOthersPlace) {
  Set({.requests_per_second = 2});
  for (int i = 0; i < 16'384; ++i) ASSERT_EQ(Admitted(absl::StrCat("t", i), 2), 2);
  int more = 0;
  for (int i = 0; i < 16'384; ++i) more += Admitted(absl::StrCat("t", i), 1);
  EXPECT_LT(more, 16) << "a row has place for eight; beyond, one gives way";
}

}  // namespace
}  // namespace cmkstore::service
