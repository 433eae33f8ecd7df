// Hubs that follow their key's latest version, whose DEKs are still under an older one.

#include "tests/keycache/key_cache_fixture.h"
#include "vault/following_key_vault.h"

namespace cmkstore::keycache {
namespace {

class FollowingKeyTest : public KeyCacheTest {
 protected:
  FollowingKeyTest() { served_by_ = &following_; }

  // Under the first version of "key".
  HubUid NewHubOf(const std::string& pinned) {
    const HubUid hub = NewHub();
    HubKeyRecords records = *source_.Load(hub);
    records.key.version = pinned;
    source_.Set(hub, records);
    return hub;
  }

  vault::FollowingKeyVault following_{vault_, budget_, clock_, [](const auto&, const auto&) {}};
};

TEST_F(FollowingKeyTest, DisablingTheLatestVersionDarkensThemAndNobodyWhoPinsAnother) {  // KL-14
  const HubUid follows = NewHubOf(""), cold = NewHubOf(""), pins = NewHubOf("1");
  ASSERT_THAT(Fetch(follows), IsOk());
  ASSERT_THAT(Fetch(pins), IsOk());
  const std::string second = "https://contoso.vault.azure.net/keys/key/2";
  vault_.AddVersion("key");
  vault_.BreakVersion(second, WithCause(kDenied, "KeyDisabled"));
  // A minute to the look, 36 s to the probe that takes it, and the confirmation.
  Pass(absl::Seconds(105));
  EXPECT_THAT(Fetch(follows), FailsWith("CUSTOMER_KEY_REVOKED", "latest version is disabled"));
  ASSERT_EQ(listener_.locks().size(), 1u);
  EXPECT_EQ(listener_.locks()[0].keys_wiped, 1u);
  EXPECT_THAT(Fetch(cold), FailsWith("CUSTOMER_KEY_REVOKED", "latest version is disabled"));
  EXPECT_THAT(Fetch(follows), FailsWith("CUSTOMER_KEY_REVOKED", ""))
      << "the cold one lifts nothing";
  EXPECT_THAT(Fetch(pins), IsOk());
  vault_.HealVersion(second);
  Pass(absl::Seconds(45));
  EXPECT_THAT(Fetch(follows), IsOk());
  EXPECT_GE(listener_.unlocks, 1);
}

// After a restart: the word on the latest version is not had with the unwrap.
TEST_F(FollowingKeyTest, ARefusalOnRecordIsLiftedByTheVaultsWordAlone) {  // KL-12, KL-14
  const HubUid hub = NewHubOf("");
  HubKeyRecords records = *source_.Load(hub);
  records.locked_by_denial = true;
  source_.Set(hub, records);
  const std::string second = "https://contoso.vault.azure.net/keys/key/2";
  vault_.AddVersion("key");
  vault_.BreakVersion(second, WithCause(kDenied, "KeyDisabled"));
  served_by_ = &vault_;  // as where the vault's budget has no call for a look
  EXPECT_THAT(Fetch(hub), FailsWith("CUSTOMER_KEY_REVOKED", "latest version is disabled"));
  EXPECT_EQ(listener_.unlocks, 0);
  vault_.HealVersion(second);
  Pass(absl::Seconds(15));
  EXPECT_THAT(Fetch(hub), IsOk());
  EXPECT_EQ(listener_.unlocks, 1);
}

TEST_F(FollowingKeyTest, ARewrapByANewVersionDropsNothingAndIsWatchedByThatOne) {  // KL-5, KL-14
  const HubUid hub = NewHubOf("");
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.AddVersion("key");
  HubKeyRecords records = *source_.Load(hub);
  records.deks[0] =
      *RewrapDek(vault_, records.key, records.deks[0], clock_.WallNow() + absl::Seconds(1));
  source_.Set(hub, records);
  cache().Rebind(hub);
  EXPECT_EQ(listener_.forgotten, 0);
  vault_.Break("key", kOutage);
  Pass(absl::Minutes(10));
  EXPECT_NE(*cache().Lookup(hub), nullptr) << "within its grace";
  vault_.Heal("key");
  vault_.BreakVersion("https://contoso.vault.azure.net/keys/key/1", kDenied);
  Pass(absl::Minutes(2));
  EXPECT_THAT(Fetch(hub), IsOk()) << "the former version may go";
  vault_.BreakVersion("https://contoso.vault.azure.net/keys/key/2", kDenied);
  Pass(absl::Seconds(45));
  EXPECT_THAT(cache().Lookup(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  ASSERT_EQ(listener_.locks().size(), 1u);
  EXPECT_EQ(listener_.locks()[0].keys_wiped, 1u);
}

}  // namespace
}  // namespace cmkstore::keycache
