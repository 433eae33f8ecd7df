// What only looks is done and shown though the store takes no record of it.

#include "service/unstored_operations.h"

#include <gmock/gmock.h>

#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/service/managed_hubs_fixture.h"
#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

using google::longrunning::Operation;
using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::IsOk;
using Result = absl::StatusOr<std::unique_ptr<google::protobuf::Message>>;

class UnstoredOperationsTest : public ManagedHubsTest {
 protected:
  Operation Shown(const std::string& name) {
    google::longrunning::GetOperationRequest request;
    request.set_name(name);
    return operations_.Get(Call(), request).value_or(Operation());
  }
  // The server's, by pages of that size.
  std::vector<std::string> Listed(int page_size) {
    google::longrunning::ListOperationsRequest request;
    request.set_name("server");
    request.set_page_size(page_size);
    std::vector<std::string> names;
    do {
      const auto page = operations_.List(Call(), request);
      if (!page.ok()) return {page.status().ToString()};
      for (const Operation& operation : page->operations()) names.push_back(operation.name());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return names;
  }
  void AwaitIdle() {
    while (operations_.running() > 0) absl::SleepFor(absl::Milliseconds(1));
  }
};

TEST_F(UnstoredOperationsTest, WhatOnlyLooksIsDoneAndShownAllTheSame) {
  absl::Notification go_on;
  operations_.AddKind("look", [&](OperationRun& run) -> Result {
    run.Progress(1, 2);
    go_on.WaitForNotification();
    return std::make_unique<google::protobuf::Empty>();
  });
  engine_.decide = [](const auto&) { return StoreCorrupt("a checksum does not match"); };
  EXPECT_THAT(operations_.StartOfServer("look", ""), FailsWith("STORE_CORRUPT", ""));
  const auto started = operations_.StartLookOfServer("look", "");
  ASSERT_THAT(started, IsOk());
  EXPECT_EQ(Shown(started->name()).name(), started->name());
  go_on.Notify();
  AwaitIdle();
  EXPECT_TRUE(Shown(started->name()).has_response());
  EXPECT_THAT(*ReadFile(dir_.path() + "/log.jsonl"), HasSubstr("operation_not_stored"));

  engine_.decide = nullptr;
  clock_.Advance(absl::Seconds(1));
  const auto later = operations_.StartLookOfServer("look", "");
  ASSERT_THAT(later, IsOk());
  AwaitIdle();
  EXPECT_THAT(Listed(1), ElementsAre(later->name(), started->name()));
  google::longrunning::DeleteOperationRequest remove;
  remove.set_name(started->name());
  ASSERT_THAT(operations_.Delete(Call(), remove), IsOk());
  EXPECT_THAT(Listed(5), ElementsAre(later->name()));
}

TEST_F(UnstoredOperationsTest, ItIsNoOperationOfAHub) {
  operations_.AddKind("look", [](OperationRun&) -> Result { return StoreBusy(); });
  engine_.decide = [](const auto&) { return StoreBusy(); };
  const auto started = operations_.StartLookOfServer("look", "");
  ASSERT_THAT(started, IsOk());
  AwaitIdle();
  const std::string id = started->name().substr(kServerOperations.size());
  EXPECT_TRUE(Shown(started->name()).has_error());
  EXPECT_EQ(Shown(absl::StrCat(kName, "/operations/", id)).name(), "");
}

TEST(UnstoredOperationsListTest, TheOldestThatIsDoneMakesRoom) {
  UnstoredOperations operations;
  const auto id_of = [](size_t i) { return absl::StrFormat("%04d", 9'999 - i); };
  for (size_t i = 0; i <= UnstoredOperations::kMax; ++i) {
    storage::v1::OperationRecord record;
    record.set_operation(id_of(i));
    record.set_done(i != 0);
    operations.Add(record);
  }
  EXPECT_TRUE(operations.Find(id_of(0)).has_value()) << "it runs";
  EXPECT_FALSE(operations.Find(id_of(1)).has_value());
  EXPECT_TRUE(operations.Find(id_of(2)).has_value());
  EXPECT_EQ(operations.MergeInto({}, "", 1'000).size(), UnstoredOperations::kMax);
}

}  // namespace
}  // namespace cmkstore::service
