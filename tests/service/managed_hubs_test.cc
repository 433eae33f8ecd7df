// Changes of a hub where the store refuses, or hangs, halfway.

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "crypto/envelope.h"
#include "service/apply_blocking.h"
#include "service/document_codec.h"
#include "service/key_change_recovery.h"
#include "service/manage_projects.h"
#include "service/shred_hub.h"
#include "service/storage_quota.h"
#include "service/vault_usage.h"
#include "service/write_documents.h"
#include "store/tables.h"
#include "store/usage_table.h"
#include "tests/service/managed_hubs_fixture.h"

namespace cmkstore::service {
namespace {

// From the rewrap of a hub's DEKs on the catalog takes no writes while it is `full`.
auto CatalogFullBehindRewrap(const bool& full) {
  return [&full, rewrapped = false](const store::Partition& partition) mutable {
    rewrapped = rewrapped || !IsCatalog(partition);
    return IsCatalog(partition) && rewrapped && full ? StoreFull() : absl::OkStatus();
  };
}

TEST_F(ManagedHubsTest, AKeyIsNotChangedWhereTheCatalogTakesNoWrites) {  // KL-13
  engine_.decide = [](const store::Partition& partition) {
    return IsCatalog(partition) ? StoreFull() : absl::OkStatus();
  };
  EXPECT_THAT(ChangeKey("k2"), FailsWith("STORE_FULL", "no room"));
  EXPECT_EQ(Keys(), "k1, k1/1");
}

TEST_F(ManagedHubsTest, AHubNamesItsNewKeyAsSoonAsTheStoreTakesItAgain) {  // KL-13
  bool full = true;
  engine_.decide = CatalogFullBehindRewrap(full);
  EXPECT_THAT(ChangeKey("k2"), FailsWith("STORE_FULL", "under the new key"));
  EXPECT_EQ(Keys(), "k1, k2/1");
  full = false;
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (Keys() != "k2, k2/1" && absl::Now() < give_up) {
    clock_.Advance(absl::Seconds(1));
    manage_hubs_.Tick();
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(Keys(), "k2, k2/1");
  manage_hubs_.Stop();
  EXPECT_THAT(ChangeKey("k3"), IsOk());
  EXPECT_EQ(Keys(), "k3, k3/1");
}

TEST_F(ManagedHubsTest, AChangeOfItsKeyThatIsTakenBackBeforeItWasNamedStaysTakenBack) {  // KL-13
  bool full = true;
  engine_.decide = CatalogFullBehindRewrap(full);
  EXPECT_THAT(ChangeKey("k2"), FailsWith("STORE_FULL", "under the new key"));
  EXPECT_EQ(Keys(), "k1, k2/1");
  full = false;
  EXPECT_THAT(ChangeKey("k1"), IsOk());
  EXPECT_EQ(Keys(), "k1, k1/1");
  clock_.Advance(absl::Seconds(1));
  manage_hubs_.Tick();
  manage_hubs_.Stop();
  EXPECT_EQ(Keys(), "k1, k1/1");
}

// An older version of the key unwraps on; the customer has disabled "the key".
TEST_F(ManagedHubsTest, NoChangeOfItsKeyReopensAHubWhoseKeyIsWithdrawn) {  // KL-14
  const std::string second = absl::StrCat(kVault, "/keys/k1/2");
  vault_.AddVersion("k1");
  vault_.BreakVersion(second, WithCause(CustomerKeyRevoked("it is disabled"), "KeyDisabled"));
  EXPECT_THAT(ChangeKey("k2"), FailsWith("CUSTOMER_KEY_REVOKED", "latest version is disabled"));
  v1::UpdateHubRequest pin;
  pin.mutable_hub()->set_name(kName);
  pin.mutable_hub()->mutable_encryption()->mutable_customer_managed()->set_key_version("1");
  pin.mutable_update_mask()->add_paths("encryption.customer_managed.key_version");
  EXPECT_FALSE(manage_hubs_.Update(Call(), pin).ok());
  EXPECT_EQ(Keys(), "k1, k1/1");
  EXPECT_EQ(Find("h1")->record.customer_key().key_version(), "");
  vault_.HealVersion(second);
  EXPECT_THAT(ChangeKey("k2"), IsOk());
  EXPECT_EQ(Keys(), "k2, k2/1");
}

// The new key may let in another identity than the old one did.
TEST_F(ManagedHubsTest, AHubIsServedAsTheIdentityOfTheKeyThatItsRecordDoesNotNameYet) {  // KL-13
  const bool full = true;
  engine_.decide = CatalogFullBehindRewrap(full);
  EXPECT_THAT(ChangeKey("k2", "other"), FailsWith("STORE_FULL", "under the new key"));
  EXPECT_EQ(Find("h1")->record.customer_key().identity(), "");
  EXPECT_EQ(key_source_.Load(uid_)->key.identity, "other");
  engine_.decide = nullptr;
  EXPECT_THAT(FinishKeyChanges(engine_), IsOk());  // of the next start
  const auto named = store::HubsTable(engine_).Get(store::CatalogPartition(), kTenant, "h1");
  EXPECT_EQ((*named)->customer_key().key_name(), "k2");
  EXPECT_EQ((*named)->customer_key().identity(), "other");
}

TEST_F(ManagedHubsTest, AChangeOfItsKeyWaitsOutAStoreThatIsFullForAMoment) {
  int refusals = 3;
  bool rewrapped = false;
  engine_.decide = [&](const store::Partition& partition) {
    rewrapped = rewrapped || !IsCatalog(partition);
    return IsCatalog(partition) && rewrapped && refusals-- > 0 ? StoreFull() : absl::OkStatus();
  };
  EXPECT_THAT(ChangeKey("k2"), IsOk());
  EXPECT_EQ(Keys(), "k2, k2/1");
}

TEST_F(ManagedHubsTest, ALockWipesTheKeysBeforeTheStoreHasAnswered) {  // KL-6
  ASSERT_EQ(Served(), "");
  absl::Notification goes_on;
  engine_.decide = [&](const store::Partition&) {
    goes_on.WaitForNotification();
    return absl::OkStatus();
  };
  absl::StatusOr<v1::KeyStatus> locked;
  std::thread locking([&] {
    v1::LockHubRequest request;
    request.set_name(kName);
    locked = manage_keys_.Lock(Call(), request);
  });
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (Served().empty() && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(Served(), "HUB_LOCKED") << "while the disk hangs";
  goes_on.Notify();
  locking.join();
  ASSERT_THAT(locked, IsOk());
  EXPECT_EQ(locked->availability(), v1::KeyStatus::LOCKED_BY_PUSH);
  EXPECT_EQ(LockReceipts(engine_, clock_, {}).Last(uid_)->keys_wiped(), 1u) << "as on disk";
}

TEST_F(ManagedHubsTest, ALockThatIsToldLateDoesNotTakeBackAnUnlockBehindIt) {  // KL-6
  std::function<void()> tell;
  absl::Notification locked;
  engine_.answer = [&](std::function<void()> give) {
    const auto record = store::HubsTable(engine_)
                            .Get(store::CatalogPartition(), kTenant, "h1")
                            .value_or(std::nullopt);
    if (tell != nullptr || !record.has_value() || !record->locked_by_push()) return give();
    tell = std::move(give);
    locked.Notify();
  };
  std::thread locking([&] {
    v1::LockHubRequest request;
    request.set_name(kName);
    EXPECT_THAT(manage_keys_.Lock(Call(), request), IsOk());
  });
  locked.WaitForNotification();
  v1::UnlockHubRequest unlock;
  unlock.set_name(kName);
  EXPECT_THAT(manage_keys_.Unlock(Call(), unlock), IsOk());
  tell();
  locking.join();
  EXPECT_FALSE(Find("h1")->record.locked_by_push());
  EXPECT_EQ(Served(), "");
}

TEST_F(ManagedHubsTest, ALockThatTheStoreCannotTakeIsRefusedAndInForceAllTheSame) {  // KL-6
  ASSERT_EQ(Served(), "");
  engine_.decide = [](const store::Partition&) { return StoreFull(); };
  v1::LockHubRequest request;
  request.set_name(kName);
  EXPECT_THAT(manage_keys_.Lock(Call(), request), FailsWith("STORE_FULL", "locked"));
  EXPECT_EQ(Served(), "HUB_LOCKED");
}

// Of rows that are sealed with an older key, each would cost an outage's whole wait.
TEST_F(ManagedHubsTest, AListOfHubsWaitsForOlderKeysOnceAndNotForEach) {
  for (const char* id : {"h2", "h3"}) ASSERT_THAT(CreateHub(id), IsOk());
  for (const char* id : {"h1", "h2", "h3"}) {
    const HubEntryPtr hub = Find(id);
    ASSERT_THAT(key_changes_.Rotate(*hub, 2, clock_.WallNow() + absl::Seconds(5)), IsOk());
    keys_->Forget(hub->uid);
    key_changes_.BringKeys(hub->uid, clock_.WallNow() + absl::Seconds(5));  // the newest alone
  }
  vault_.OnUnwrap([this](const vault::KeyRef&) { clock_.Advance(absl::Seconds(6)); });
  v1::ListHubsRequest request;
  request.set_parent(absl::StrCat("tenants/", kTenant));
  const auto listed = manage_hubs_.List(Call(), request);
  ASSERT_THAT(listed, IsOk());
  ASSERT_EQ(listed->hubs_size(), 3);
  EXPECT_EQ(listed->hubs(0).display_name(), "one of h1");
  EXPECT_EQ(listed->hubs(1).display_name(), "") << "no time is left";
  EXPECT_EQ(listed->hubs(2).display_name(), "");
}

TEST_F(ManagedHubsTest, AHubWhoseKeysARestoreHasDroppedBeforeItHadItsNameGetsNone) {
  std::optional<store::Partition> unnamed;
  engine_.decide = [&](const store::Partition& partition) {
    if (!IsCatalog(partition)) {
      unnamed = partition;
      return absl::OkStatus();
    }
    return unnamed.has_value() ? engine_.DropPartition(*unnamed) : absl::OkStatus();
  };
  EXPECT_THAT(CreateHub("h2"), FailsWith("STORE_BUSY", ""));
  EXPECT_EQ(Find("h2"), nullptr);
  engine_.decide = nullptr;
  EXPECT_THAT(CreateHub("h2"), IsOk()) << "tried again";
}

TEST_F(ManagedHubsTest, AHubWithoutKeyRecordsDoesNotKeepItsTenantFromItsVaultsUsage) {
  ASSERT_THAT(CreateHub("h2"), IsOk());
  store::WriteSet damage;
  store::DeksTable::Delete(damage, 1);
  ASSERT_THAT(ApplyBlocking(engine_, Find("h1")->partition, std::move(damage)), IsOk());
  VaultUsageReport report{hubs_, key_source_, vault_meter_, clock_};
  v1::GetVaultUsageRequest request;
  request.set_parent(absl::StrCat("tenants/", kTenant));
  const auto usage = report.Get(Call(), request);
  ASSERT_THAT(usage, IsOk());
  ASSERT_EQ(usage->vaults_size(), 1);
  EXPECT_EQ(usage->vaults(0).hubs(), 1u);
  EXPECT_NE(ReadFile(dir_.path() + "/log.jsonl")->find("hub_keys_unreadable"), std::string::npos);
}

class WriteInAHubTest : public ManagedHubsTest {
 protected:
  // Runs the write, with `before_commit` when it has sealed its row; why it is refused, or "".
  std::string Write(std::function<absl::Status()> before_commit) {
    storage::v1::ProjectRecord project;
    project.set_uid(std::string(ProjectUid::kBytes, 'p'));
    project.set_project("p1");
    store::WriteSet writes;
    store::ProjectsTable::Put(writes, "p1", project);
    EXPECT_THAT(ApplyBlocking(engine_, Find("h1")->partition, std::move(writes)), IsOk());
    engine_.decide = [act = std::move(before_commit)](const store::Partition& partition) mutable {
      if (IsCatalog(partition) || act == nullptr) return absl::OkStatus();
      return std::exchange(act, nullptr)();
    };
    v1::UpdateDocumentRequest request;
    request.mutable_document()->set_name(
        absl::StrCat(kName, "/projects/p1/collections/c/documents/d1"));
    request.set_allow_missing(true);
    std::optional<absl::StatusOr<v1::Document>> result;
    const AdmittedCall call = Call();
    const CallContext context{call, executor_};
    Start(context, request, result);
    void* tag = nullptr;
    bool ok = false;
    while (!result.has_value() && queue_.Next(&tag, &ok)) {
      static_cast<QueueEvent*>(tag)->Complete(ok);
    }
    return ReasonOf(result->status());
  }
  Detached Start(const CallContext& context, const v1::UpdateDocumentRequest& request,
                 std::optional<absl::StatusOr<v1::Document>>& result) {
    auto writing = writes_.Update(context, request);
    result = co_await std::move(writing);
  }
  static absl::Status Conflict() {
    return MakeError(absl::StatusCode::kAborted, "WRITE_CONFLICT", "another write came first");
  }

  grpc::CompletionQueue queue_;
  QueueExecutor executor_{queue_};
  StorageQuota storage_{engine_, clock_};
  WriteDocuments writes_{hubs_, engine_, storage_, random_, clock_, [](HubUid, store::Sequence) {}};
};

TEST_F(WriteInAHubTest, OneThatMeetsAnotherIsTriedAgain) { EXPECT_EQ(Write(Conflict), ""); }

TEST_F(WriteInAHubTest, OneThatMeetsAnotherIsNotMadeUnderKeysThatALockHasWiped) {  // KL-6
  const auto lock = [this] {
    keys_->Lock(uid_);
    return Conflict();
  };
  EXPECT_EQ(Write(lock), "HUB_LOCKED");
}

// What a purge has counted and copied must not be written to again.
TEST_F(ManagedHubsTest, ADeletionOfDocumentsWritesNothingIntoAHubThatIsPurgedMeanwhile) {
  StorageQuota storage{engine_, clock_};
  ManageProjects projects{hubs_,   engine_, storage, operations_,
                          random_, clock_,  tokens_, [](HubUid, store::Sequence) {}};
  v1::CreateProjectRequest create;
  create.set_parent(kName);
  create.set_project_id("p1");
  ASSERT_THAT(projects.Create(Call(), create), IsOk());
  const OpenHub hub = *hubs_.OpenBlocking(Call(), *HubName::Parse("name", kName));
  const auto name =
      *DocumentName::Parse("name", absl::StrCat(kName, "/projects/p1/collections/c/documents/d"));
  const store::DocumentKey key =
      KeyOf(name, *hubs_.Project(*hub.entry, name.project.project), hub.keys->names);
  store::WriteSet put;
  store::DocumentsTable::Put(
      put, key,
      *crypto::Seal(hub.keys->seal, BindingOf(*hub.entry, crypto::RowKind::kDocument, key), 1, "d",
                    random_));
  ASSERT_THAT(ApplyBlocking(engine_, hub.partition(), std::move(put)), IsOk());
  int commits = 0;
  engine_.decide = [&](const store::Partition& partition) {
    // Behind the one that deletes the project's name.
    if (!IsCatalog(partition) && ++commits == 2) {
      EXPECT_THAT(ShredKeys(engine_, hub.partition()), IsOk());
    }
    return absl::OkStatus();
  };
  v1::DeleteProjectRequest remove;
  remove.set_name(absl::StrCat(kName, "/projects/p1"));
  remove.set_force(true);
  ASSERT_THAT(projects.Delete(Call(), remove), IsOk());
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (operations_.IsUnderWay("delete-project-documents") && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  operations_.Stop();
  EXPECT_GE(commits, 3);
  EXPECT_TRUE(store::UsageTable(engine_).Totals(hub.partition())->IsZero());
  EXPECT_EQ(store::DocumentsTable(engine_).WalkKeys(hub.partition(), {}, "", 2)->size(), 1u);
}

}  // namespace
}  // namespace cmkstore::service
