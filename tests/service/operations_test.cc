// What an operation keeps of how it ended.

#include "service/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "service/hub_key_source.h"
#include "service/lock_receipts.h"
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

using ::testing::HasSubstr;
using testing::IsOk;
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
      [&](OperationRun&) -> absl::StatusOr<std::unique_ptr<google::protobuf::Message>> {
        if (++runs < 3) return StoreFull();
        refused.Notify();
        room.WaitForNotification();
        return std::make_unique<google::protobuf::Empty>();
      },
      Operations::Ends::kWhenDone);
  const auto started = operations_.StartOfServer("finish", "");
  ASSERT_THAT(started, IsOk());
  refused.WaitForNotification();
  EXPECT_THAT(operations_.CancelNamed(started->name()),
              testing::FailsWith("STATE_INVALID", "to its end"));
  room.Notify();
  while (operations_.running() > 0) absl::SleepFor(absl::Milliseconds(1));
  const auto records = store::OperationsTable(engine_).List(store::CatalogPartition(), 10);
  ASSERT_EQ(records->size(), 1u);
  EXPECT_TRUE(records->front().done());
  EXPECT_EQ(records->front().error_reason(), "");
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
