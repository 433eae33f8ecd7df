// What an operation keeps of how it ended, and which ones a start finds.

#include "service/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "service/apply_blocking.h"
#include "service/hub_key_source.h"
#include "service/lock_receipts.h"
#include "service/shred_hub.h"
#include "service/usage_meter.h"
#include "store/memory/memory_engine.h"
#include "store/tables.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/virtual_clock.h"
#include "vault/call_budget.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using ::testing::HasSubstr;
using testing::IsOk;
using Result = absl::StatusOr<std::unique_ptr<google::protobuf::Message>>;

constexpr size_t kMany = 10'001;
using ::testing::Not;

class OperationsTest : public ::testing::Test {
 protected:
  OperationsTest() { SetLogFile(log_); }
  ~OperationsTest() override { SetLogFile("/dev/stderr"); }

  // The record of an operation of the server's whose body gives `status`.
  storage::v1::OperationRecord RunToItsEnd(const absl::Status& status) {
    operations_.AddKind("test", [&](OperationRun&) { return status; });
    EXPECT_THAT(operations_.StartOfServer("test", ""), IsOk());
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    for (;;) {
      const auto records = store::OperationsTable(engine_).List(store::CatalogPartition(), 10);
      if (records.ok() && records->size() == 1 && records->front().done()) return records->front();
      if (absl::Now() > give_up) return {};
      absl::SleepFor(absl::Milliseconds(1));
    }
  }

  void AwaitIdle() {
    while (operations_.running() > 0) absl::SleepFor(absl::Milliseconds(1));
  }
  void TickUntil(absl::Notification& notified) {
    while (!notified.WaitForNotificationWithTimeout(absl::Milliseconds(1))) {
      clock_.Advance(absl::Seconds(1));
      operations_.Tick();
    }
  }
  static std::string TenantOf(char letter) {
    return absl::StrCat(std::string(8, letter), "-2222-4333-8444-555555555555");
  }
  // A hub of a tenant of its own, whose uid is this letter again and again; its record is there.
  HubEntryPtr MakeHub(char letter) {
    storage::v1::HubRecord record;
    record.set_tenant(TenantOf(letter));
    record.set_hub("h1");
    record.set_uid(std::string(16, letter));
    record.set_state(storage::v1::HUB_STATE_ACTIVE);
    store::WriteSet writes;
    store::HubsTable::Put(writes, record.tenant(), record.hub(), record);
    EXPECT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)), IsOk());
    return HubDirectory::MakeEntry(record);
  }
  void AddPointers(char letter, size_t count) {
    store::WriteSet writes;
    for (size_t i = 0; i < count; ++i) {
      storage::v1::PendingOperation pending;
      pending.set_tenant(TenantOf(letter));
      pending.set_hub("h1");
      pending.set_operation(absl::StrCat(i));
      store::PendingOperationsTable::Put(writes, *HubUid::FromBytes(std::string(16, letter)),
                                         pending.operation(), pending);
    }
    ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)), IsOk());
  }
  size_t Pointers() {
    return store::PendingOperationsTable(engine_)
        .List(store::CatalogPartition(), 2 * kMany)
        ->size();
  }

  testing::TempDir dir_;
  const std::string log_ = dir_.path() + "/log.jsonl";
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  store::MemoryEngine engine_{1};
  UsageMeter meter_{{}, engine_, clock_, [](HubUid) { return int64_t{0}; }};
  HubDirectory directory_{engine_, meter_};
  LockReceipts receipts_{engine_, clock_, {}};
  HubKeySource source_{directory_, engine_, receipts_};
  testing::FakeKeyVault vault_;
  vault::CallBudget budget_{clock_};
  std::unique_ptr<keycache::KeyCache> keys_ =
      *keycache::KeyCache::Create({}, source_, vault_, budget_, clock_, random_, receipts_);
  HubAccess hubs_{directory_, *keys_};
  PageTokens tokens_{std::string(32, 't')};
  Operations operations_{hubs_, engine_, random_, clock_, tokens_};
};

TEST_F(OperationsTest, ABrokenInvariantIsToldToTheLogOnly) {
  const auto record = RunToItsEnd(InvariantBroken("the row of a-customer's-name"));
  EXPECT_EQ(record.error_reason(), "INVARIANT");
  EXPECT_EQ(record.error_code(), static_cast<int>(absl::StatusCode::kInternal));
  EXPECT_THAT(record.error_message(), HasSubstr("report operation server/operations/"));
  EXPECT_THAT(record.error_message(), Not(HasSubstr("a-customer's-name")));
  EXPECT_THAT(*ReadFile(log_), HasSubstr("the row of a-customer's-name"));
}

TEST_F(OperationsTest, WhatFinishesACommitsWorkGoesOnThroughAFullDiskAndCannotBeCancelled) {
  std::atomic<int> runs = 0;
  absl::Notification refused, room;
  operations_.AddKind(
      "finish",
      [&](OperationRun&) -> Result {
        if (++runs < 3) return StoreFull();
        refused.Notify();
        room.WaitForNotification();
        return std::make_unique<google::protobuf::Empty>();
      },
      Operations::Ends::kWhenDone);
  const auto started = operations_.StartOfServer("finish", "");
  ASSERT_THAT(started, IsOk());
  TickUntil(refused);
  EXPECT_THAT(operations_.CancelNamed(started->name()), FailsWith("STATE_INVALID", "to its end"));
  room.Notify();
  AwaitIdle();
  const auto records = store::OperationsTable(engine_).List(store::CatalogPartition(), 10);
  ASSERT_EQ(records->size(), 1u);
  EXPECT_TRUE(records->front().done());
  EXPECT_EQ(records->front().error_reason(), "");
}

TEST_F(OperationsTest, WhatAFullDiskRefusesKeepsNoThreadFromOtherTenants) {
  operations_.AddKind(
      "finish", [](OperationRun&) -> Result { return StoreFull(); }, Operations::Ends::kWhenDone);
  absl::Notification ran;
  operations_.AddKind("other", [&](OperationRun&) -> Result {
    ran.Notify();
    return std::make_unique<google::protobuf::Empty>();
  });
  for (const char tenant : {'a', 'a', 'b', 'b'}) {
    ASSERT_THAT(operations_.Start(*MakeHub(tenant), "finish", ""), IsOk());
  }
  ASSERT_THAT(operations_.Start(*MakeHub('c'), "other", ""), IsOk());
  EXPECT_TRUE(ran.WaitForNotificationWithTimeout(absl::Seconds(20)));
}

TEST_F(OperationsTest, WhatFinishesACommitsWorkIsLeftForTheNextStartByAnotherError) {
  std::atomic<int> runs = 0;
  operations_.AddKind(
      "finish",
      [&](OperationRun&) -> Result {
        if (++runs == 1) return StoreCorrupt("a read failed");
        return std::make_unique<google::protobuf::Empty>();
      },
      Operations::Ends::kWhenDone);
  ASSERT_THAT(operations_.StartOfServer("finish", ""), IsOk());
  AwaitIdle();
  const store::OperationsTable table(engine_);
  EXPECT_FALSE(table.List(store::CatalogPartition(), 10)->at(0).done());
  EXPECT_THAT(*ReadFile(log_), HasSubstr("operation_cut_off"));
  ASSERT_THAT(operations_.ResumeAll(), IsOk());
  AwaitIdle();
  EXPECT_TRUE(table.List(store::CatalogPartition(), 10)->at(0).done());
  EXPECT_EQ(runs, 2);
}

TEST_F(OperationsTest, AnOperationWhoseCommitIsRefusedLeavesNoPointer) {
  operations_.AddKind("test", [](OperationRun&) -> Result { return StoreFull(); });
  store::WriteSet writes;
  store::ProjectsTable::RequirePresent(writes, "p1", NotFound("project"));
  EXPECT_THAT(operations_.StartWith(*MakeHub('a'), "test", "", std::move(writes)).status(),
              FailsWith("PROJECT_NOT_FOUND", ""));
  EXPECT_EQ(Pointers(), 0u);
}

TEST_F(OperationsTest, AStartComesThroughAnyNumberOfPointersThatLeadNowhere) {
  absl::Notification ran;
  operations_.AddKind("test", [&](OperationRun&) -> Result {
    ran.Notify();
    return std::make_unique<google::protobuf::Empty>();
  });
  AddPointers('a', kMany);  // in the order of keys before the one that matters
  const HubEntryPtr hub = MakeHub('f');
  storage::v1::OperationRecord record;
  record.set_operation("0");
  record.set_kind("test");
  store::WriteSet writes;
  store::OperationsTable::Put(writes, "0", record);
  ASSERT_THAT(ApplyBlocking(engine_, hub->partition, std::move(writes)), IsOk());
  AddPointers('f', 1);
  store::WriteSet mark;
  store::RestoreTable::Put(mark, {});
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(mark)), IsOk());
  ASSERT_THAT(operations_.ResumeAll(), IsOk());
  ASSERT_TRUE(ran.WaitForNotificationWithTimeout(absl::Seconds(20)));
  AwaitIdle();
  EXPECT_EQ(Pointers(), kMany) << "a restore may bring their hubs yet";
  store::WriteSet end;
  store::RestoreTable::Delete(end);
  ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(end)), IsOk());
  ASSERT_THAT(operations_.ResumeAll(), IsOk());
  EXPECT_EQ(Pointers(), 0u);
}

TEST_F(OperationsTest, APurgeTakesAlongAnyNumberOfPointers) {
  AddPointers('a', kMany);
  ASSERT_THAT(DropRows(engine_, MakeHub('a')->partition, MakeHub('a')->uid), IsOk());
  EXPECT_EQ(Pointers(), 0u);
}

TEST_F(OperationsTest, AnOperationOfTheServerIsKeptForAMonthAfterItsEnd) {
  const auto run = [this] {
    EXPECT_THAT(operations_.StartOfServer("kept", ""), IsOk());
    AwaitIdle();
    const auto records = store::OperationsTable(engine_).List(store::CatalogPartition(), 10);
    return records.ok() ? records->size() : 0;
  };
  operations_.AddKind("kept", [](OperationRun&) { return Result(StoreFull()); });
  EXPECT_EQ(run(), 1u);
  clock_.Advance(absl::Hours(29 * 24));
  EXPECT_EQ(run(), 2u);
  clock_.Advance(absl::Hours(2 * 24));
  EXPECT_EQ(run(), 2u) << "without the first";
}

TEST_F(OperationsTest, WhatNobodyMadeAReasonForIsNotShownEither) {
  const auto record = RunToItsEnd(absl::UnknownError("a library's words"));
  EXPECT_EQ(record.error_reason(), "INVARIANT");
  EXPECT_THAT(record.error_message(), Not(HasSubstr("library")));
}

TEST_F(OperationsTest, AnotherFailureKeepsItsReasonAndItsWords) {
  const auto record = RunToItsEnd(StoreFull());
  EXPECT_EQ(record.error_reason(), "STORE_FULL");
  EXPECT_EQ(record.error_message(), StoreFull().message());
}

}  // namespace
}  // namespace cmkstore::service
