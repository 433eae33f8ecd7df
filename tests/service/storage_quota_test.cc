#include "service/storage_quota.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "service/apply_blocking.h"
#include "service/hub_directory.h"
#include "store/memory/memory_engine.h"
#include "store/tables.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

class StorageQuotaTest : public ::testing::Test {
 protected:
  void Limit(uint64_t documents, uint64_t bytes) {
    quota_.Set({{.documents = documents, .stored_bytes = bytes}, {}});
  }
  absl::Status Write(StoredAmount change, const std::string& tenant = "a") {
    auto room = quota_.Reserve(tenant, change);
    if (room.ok()) room->Committed();
    return room.status();
  }
  void StoreHub(int number, const std::string& tenant, StoredAmount amount, bool purged = false) {
    storage::v1::HubRecord record;
    record.set_tenant(tenant);
    record.set_hub(absl::StrCat("h", number));
    std::string uid(HubUid::kBytes, '\0');
    for (size_t i = 0; i < 4; ++i) uid[i] = static_cast<char>(number >> (8 * i));
    record.set_uid(uid);
    if (purged) record.mutable_purge()->set_finish_time_micros(1);
    store::WriteSet names;
    store::HubsTable::Put(names, record.tenant(), record.hub(), record);
    ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(names)), IsOk());
    store::UsageNumbers numbers;
    numbers[store::UsageCounter::kDocuments] = amount.documents;
    numbers[store::UsageCounter::kStoredBytes] = amount.bytes;
    store::WriteSet rows;
    store::UsageTable::Add(rows, 1, numbers);
    ASSERT_THAT(ApplyBlocking(engine_, HubDirectory::MakeEntry(record)->partition, std::move(rows)),
                IsOk());
  }

  testing::VirtualClock clock_;
  store::MemoryEngine engine_{1};
  StorageQuota quota_{engine_, clock_};
};

TEST_F(StorageQuotaTest, WhatIsStoredIsSummedUpOverAllHubsOfEachTenant) {
  StoredAmount wanted;
  for (int i = 0; i < 2500; ++i) {  // more than a page of the catalog
    StoreHub(i, i % 2 == 0 ? "a" : "b", {1, i});
    if (i % 2 == 0) wanted = {wanted.documents + 1, wanted.bytes + i};
  }
  StoreHub(3000, "a", {100, 100}, /*purged=*/true);
  ASSERT_THAT(quota_.Load(), IsOk());
  EXPECT_EQ(quota_.HeldBy("a"), wanted);
  EXPECT_EQ(quota_.HeldBy("b").documents, 1250);
  EXPECT_EQ(quota_.HeldBy("c"), StoredAmount());
}

TEST_F(StorageQuotaTest, WithoutALimitAllIsTakenAndCounted) {
  EXPECT_THAT(Write({1'000'000, int64_t{1} << 50}), IsOk());
  EXPECT_EQ(quota_.HeldBy("a"), (StoredAmount{1'000'000, int64_t{1} << 50}));
}

TEST_F(StorageQuotaTest, TheLastDocumentFitsAndOneMoreDoesNot) {
  Limit(3, 0);
  EXPECT_THAT(Write({3, 300}), IsOk());
  const absl::Status refused = Write({1, 100});
  EXPECT_THAT(refused, FailsWith("QUOTA_EXCEEDED", "may hold 3 documents"));
  EXPECT_EQ(CauseOf(refused), "documents");
  EXPECT_EQ(ViolationsOf(refused)[0].subject, "tenants/a");
  EXPECT_EQ(RetryAfterOf(refused), std::nullopt) << "no wait would help";
  EXPECT_EQ(quota_.HeldBy("a"), (StoredAmount{3, 300}));
  EXPECT_EQ(quota_.refused_documents(), 1u);
  EXPECT_THAT(Write({1, 100}, "b"), IsOk()) << "another tenant's room is its own";
}

TEST_F(StorageQuotaTest, BytesAreBoundedLikewise) {
  Limit(0, 1000);
  EXPECT_THAT(Write({1, 1000}), IsOk());
  const absl::Status refused = Write({0, 1});
  EXPECT_THAT(refused, FailsWith("QUOTA_EXCEEDED", "1000 bytes"));
  EXPECT_EQ(CauseOf(refused), "stored_bytes");
  EXPECT_EQ(quota_.refused_bytes(), 1u);
  EXPECT_EQ(quota_.refused_documents(), 0u);
}

TEST_F(StorageQuotaTest, WhoIsOverALimitMayStillShrinkAndStay) {
  EXPECT_THAT(Write({10, 1000}), IsOk());
  Limit(3, 300);
  EXPECT_THAT(Write({0, 0}), IsOk());
  EXPECT_THAT(Write({0, -10}), IsOk());
  EXPECT_THAT(Write({-1, 0}), IsOk());
  EXPECT_THAT(Write({-1, 5}), FailsWith("QUOTA_EXCEEDED", "bytes"));
  EXPECT_THAT(Write({1, -10}), FailsWith("QUOTA_EXCEEDED", "documents"));
  EXPECT_EQ(quota_.HeldBy("a"), (StoredAmount{9, 990}));
}

TEST_F(StorageQuotaTest, WhatIsNotCommittedIsGivenBackAndMakesNoRoomBefore) {
  Limit(3, 0);
  EXPECT_THAT(Write({2, 200}), IsOk());
  {
    auto failing = quota_.Reserve("a", {1, 100});
    ASSERT_THAT(failing.status(), IsOk());
    EXPECT_THAT(Write({1, 100}), FailsWith("QUOTA_EXCEEDED", "")) << "it may still be committed";
    auto shrinking = quota_.Reserve("a", {-1, -100});
    ASSERT_THAT(shrinking.status(), IsOk());
    EXPECT_THAT(Write({1, 100}), FailsWith("QUOTA_EXCEEDED", "")) << "it may still fail";
  }
  EXPECT_EQ(quota_.HeldBy("a"), (StoredAmount{2, 200}));
  EXPECT_THAT(Write({1, 100}), IsOk());
}

TEST_F(StorageQuotaTest, WritesAtOnceFillTheRoomExactly) {
  Limit(1000, 0);
  std::atomic<int> taken{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < 500; ++n) taken += Write({1, 10}).ok() ? 1 : 0;
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(taken, 1000);
  EXPECT_EQ(quota_.HeldBy("a"), (StoredAmount{1000, 10'000}));
}

TEST_F(StorageQuotaTest, ATenantMayHaveALimitOfItsOwn) {
  quota_.Set({{.documents = 1}, {{"big", {.documents = 5}}}});
  EXPECT_THAT(Write({5, 0}, "big"), IsOk());
  EXPECT_THAT(Write({5, 0}, "small"), FailsWith("QUOTA_EXCEEDED", ""));
}

}  // namespace
}  // namespace cmkstore::service
