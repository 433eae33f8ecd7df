#include "service/key_change_recovery.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "service/apply_blocking.h"
#include "service/hub_directory.h"
#include "store/memory/memory_engine.h"
#include "store/tables.h"
#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

using testing::IsOk;

constexpr char kVault[] = "https://contoso.vault.azure.net";

// A hub that names one key and whose DEKs are under another.
class KeyChangeRecoveryTest : public ::testing::Test {
 protected:
  void MakeHub(const std::string& key_name, const std::string& key_version,
               const std::string& wrapped_by) {
    storage::v1::HubRecord hub;
    hub.set_uid(std::string(16, 'u'));
    hub.set_tenant("contoso");
    hub.set_hub("h1");
    hub.set_state(storage::v1::HUB_STATE_ACTIVE);
    hub.set_revision(7);
    hub.mutable_customer_key()->set_vault_uri(kVault);
    hub.mutable_customer_key()->set_key_name(key_name);
    hub.mutable_customer_key()->set_key_version(key_version);
    store::WriteSet writes;
    store::HubsTable::Put(writes, hub.tenant(), hub.hub(), hub);
    ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)), IsOk());
    store::WriteSet keys;
    for (uint32_t generation : {1, 2}) {
      storage::v1::DekRecord dek;
      dek.set_generation(generation);
      dek.set_kek_id(absl::StrCat(kVault, generation == 2 ? wrapped_by : "/keys/other/9"));
      store::DeksTable::Put(keys, generation, dek);
    }
    ASSERT_THAT(ApplyBlocking(engine_, HubDirectory::MakeEntry(hub)->partition, std::move(keys)),
                IsOk());
  }
  // "NAME/VERSION at REVISION" of the hub, once key changes are finished.
  std::string Finished() {
    EXPECT_THAT(FinishKeyChanges(engine_), IsOk());
    const storage::v1::HubRecord hub = Hub();
    return absl::StrCat(hub.customer_key().key_name(), "/", hub.customer_key().key_version(),
                        " at ", hub.revision());
  }
  storage::v1::HubRecord Hub() {
    return **store::HubsTable(engine_).Get(store::CatalogPartition(), "contoso", "h1");
  }
  // As the commit of the DEKs keeps it.
  void Keep(const storage::v1::CustomerKey& key) {
    store::WriteSet writes;
    store::KeyChangeTable::Put(writes, key);
    ASSERT_THAT(
        ApplyBlocking(engine_, HubDirectory::MakeEntry(Hub())->partition, std::move(writes)),
        IsOk());
  }
  std::optional<std::string> Kept() {
    const auto kept =
        *store::KeyChangeTable(engine_).Get(HubDirectory::MakeEntry(Hub())->partition);
    return kept.has_value() ? std::optional(kept->DebugString()) : std::nullopt;
  }

  store::MemoryEngine engine_{1};
};

TEST_F(KeyChangeRecoveryTest, AHubNamesTheKeyThatWrapsItsNewestDek) {  // KL-13
  MakeHub("old", "", "/keys/new/5");
  EXPECT_EQ(Finished(), "new/ at 8") << "it goes on following the latest version";
  EXPECT_EQ(Finished(), "new/ at 8") << "once";
}

TEST_F(KeyChangeRecoveryTest, AHubReachesItsKeyAsTheCallThatWasCutOffWantedIt) {  // KL-13
  MakeHub("old", "", "/keys/new/5");
  storage::v1::CustomerKey wanted;
  wanted.set_vault_uri(kVault);
  wanted.set_key_name("new");
  wanted.set_identity("other");
  wanted.set_directory("22222222-2222-4333-8444-555555555555");
  Keep(wanted);
  EXPECT_EQ(Finished(), "new/ at 8");
  EXPECT_EQ(Hub().customer_key().SerializeAsString(), wanted.SerializeAsString());
  EXPECT_EQ(Kept(), std::nullopt) << "it is named now";
  // Named, but a crash came before the row was removed.
  Keep(wanted);
  EXPECT_EQ(Finished(), "new/ at 8");
  EXPECT_EQ(Kept(), std::nullopt);
}

TEST_F(KeyChangeRecoveryTest, AHubThatPinsItsVersionPinsTheOneThatWraps) {  // KL-13
  MakeHub("key", "4", "/keys/key/5");
  EXPECT_EQ(Finished(), "key/5 at 8");
}

TEST_F(KeyChangeRecoveryTest, AHubThatIsUnderItsKeyStaysAsItIs) {
  MakeHub("Key", "", "/keys/key/5");
  EXPECT_EQ(Finished(), "Key/ at 7") << "a vault answers in a case of its own";
  MakeHub("key", "5", "/keys/key/5");
  EXPECT_EQ(Finished(), "key/5 at 7");
  MakeHub("key", "", "-elsewhere/keys/new/5");
  EXPECT_EQ(Finished(), "key/ at 7") << "of another vault: not for this to decide";
}

}  // namespace
}  // namespace cmkstore::service
