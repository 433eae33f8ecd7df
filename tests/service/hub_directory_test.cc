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

// An engine that lets a test act between the read of a row and the use of it, and counts the reads
// of many.
class InterruptedEngine final : public testing::ForwardingEngine {
 public:
  absl::StatusOr<std::optional<std::string>> Get(const store::Partition& partition,
                                                 absl::string_view key) const override {
    auto row = ForwardingEngine::Get(partition, key);
    if (auto act = std::exchange(after_next_get, nullptr)) act();
    return row;
  }
  absl::StatusOr<std::vector<store::Row>> Scan(const store::Partition& partition,
                                               const store::KeyRange& range,
                                               store::ReadLimit limit) const override {
    auto rows = ForwardingEngine::Scan(partition, range, limit);
    ++scans;
    if (auto act = std::exchange(after_next_scan, nullptr)) act();
    return rows;
  }

  mutable std::function<void()> after_next_get, after_next_scan;
  mutable int scans = 0;
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
  void StoreProject(const std::string& id, ProjectUid uid) {
    storage::v1::ProjectRecord record;
    record.set_uid(std::string(uid.bytes()));
    record.set_project(id);
    store::WriteSet writes;
    store::ProjectsTable::Put(writes, id, record);
    ASSERT_TRUE(ApplyBlocking(engine_, Find()->partition, std::move(writes)).ok());
  }
  void DeleteProject(const std::string& id, ProjectUid uid) {
    store::WriteSet writes;
    store::ProjectsTable::Delete(writes, id);
    ASSERT_TRUE(ApplyBlocking(engine_, Find()->partition, std::move(writes)).ok());
    directory_.ForgetProject(Find()->uid, *ProjectId::Parse(id), uid);
  }
  // "" for a project that is not there.
  std::string ProjectName(ProjectUid uid) {
    const auto name = directory_.ProjectNameOf(*Find(), uid);
    EXPECT_TRUE(name.ok()) << name.status();
    return name.value_or(std::nullopt).value_or("");
  }
  static ProjectUid ProjectNumber(char number) {
    return *ProjectUid::FromBytes(std::string(ProjectUid::kBytes, number));
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

// A change feed may name a deleted project in each of many thousand changes.
TEST_F(HubDirectoryTest, TheProjectsOfAHubAreReadOnceWhetherTheyAreThereOrNot) {
  Store(1, false);
  StoreProject("p1", ProjectNumber(1));
  StoreProject("p2", ProjectNumber(2));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ProjectName(ProjectNumber(1)), "p1");
    EXPECT_EQ(ProjectName(ProjectNumber(2)), "p2");
    EXPECT_EQ(ProjectName(ProjectNumber(3)), "");
  }
  EXPECT_EQ(engine_.scans, 2) << "one for what is there, one for what is not";
}

TEST_F(HubDirectoryTest, ADeletedProjectHasNoNameAlsoWhenOnlyItsNameWasRemembered) {
  Store(1, false);
  StoreProject("p1", ProjectNumber(1));
  EXPECT_EQ(ProjectName(ProjectNumber(1)), "p1");  // nobody has asked by its id
  DeleteProject("p1", ProjectNumber(1));
  EXPECT_EQ(ProjectName(ProjectNumber(1)), "");
  StoreProject("p1", ProjectNumber(2));
  engine_.after_next_scan = [this] { DeleteProject("p1", ProjectNumber(2)); };
  ProjectName(ProjectNumber(2));  // may answer either: the two ran together
  EXPECT_EQ(ProjectName(ProjectNumber(2)), "");
}

}  // namespace
}  // namespace cmkstore::service
