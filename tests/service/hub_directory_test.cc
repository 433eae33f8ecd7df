#include "service/hub_directory.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/apply_blocking.h"
#include "store/tables.h"
#include "tests/testing/forwarding_engine.h"
#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";

// An engine that lets a test act between the read of a row and the use of it.
class InterruptedEngine final : public testing::ForwardingEngine {
 public:
  absl::StatusOr<std::optional<std::string>> Get(const store::Partition& partition,
                                                 absl::string_view key) const override {
    auto row = ForwardingEngine::Get(partition, key);
    if (auto act = std::exchange(after_next_get, nullptr)) act();
    return row;
  }

  mutable std::function<void()> after_next_get;
};

class HubDirectoryTest : public ::testing::Test {
 protected:
  void Store(uint8_t uid, bool locked_by_push) {
    storage::v1::HubRecord record;
    record.set_uid(std::string(HubUid::kBytes, static_cast<char>(uid)));
    record.set_tenant(kTenant);
    record.set_hub("h1");
    record.set_state(storage::v1::HUB_STATE_ACTIVE);
    record.set_locked_by_push(locked_by_push);
    store::WriteSet writes;
    store::HubsTable::Put(writes, kTenant, "h1", record);
    ASSERT_TRUE(ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)).ok());
    directory_.ForgetHub(tenant_, hub_, *HubUid::FromBytes(record.uid()));
  }
  HubEntryPtr Find() {
    const absl::StatusOr<HubEntryPtr> found = directory_.Find(tenant_, hub_);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.value_or(nullptr);
  }

  const TenantId tenant_ = *TenantId::Parse(kTenant);
  const HubId hub_ = *HubId::Parse("h1");
  InterruptedEngine engine_;
  SystemClock clock_;
  UsageMeter meter_{{}, engine_, clock_, [](HubUid) { return 0; }};
  HubDirectory directory_{engine_, meter_};
};

TEST_F(HubDirectoryTest, WhatWasReadBeforeAChangeIsNotRememberedAfterIt) {
  Store(1, false);
  engine_.after_next_get = [this] { Store(1, true); };
  Find();  // may answer either: the two ran together
  EXPECT_TRUE(Find()->record.locked_by_push());
}

TEST_F(HubDirectoryTest, APurgedHubIsNotTakenForTheOneThatHasItsNameNow) {
  Store(1, false);
  const HubUid old = Find()->uid;
  Store(2, false);
  EXPECT_NE(Find()->uid, old);
  EXPECT_EQ(ReasonOf(directory_.FindByUid(old).status()), "HUB_NOT_FOUND");
  EXPECT_EQ(directory_.NameOf(old), absl::StrCat("tenants/", kTenant, "/hubs/h1"))
      << "what happens to it still has its name in the log";
}

TEST_F(HubDirectoryTest, AHubThatItWasToldOfIsFoundByUid) {
  Store(1, false);
  storage::v1::HubRecord record;
  record.set_uid(std::string(HubUid::kBytes, '\1'));
  record.set_tenant(kTenant);
  record.set_hub("h1");
  const HubEntryPtr entry = HubDirectory::MakeEntry(record);
  HubDirectory fresh{engine_, meter_};
  EXPECT_EQ(fresh.NameOf(entry->uid), "");
  EXPECT_EQ(ReasonOf(fresh.FindByUid(entry->uid).status()), "HUB_NOT_FOUND");
  fresh.Remember(*entry);
  EXPECT_EQ(fresh.NameOf(entry->uid), entry->Name());
  EXPECT_TRUE(fresh.FindByUid(entry->uid).ok());
}

}  // namespace
}  // namespace cmkstore::service
