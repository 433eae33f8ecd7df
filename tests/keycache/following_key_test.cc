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

}  // namespace
}  // namespace cmkstore::keycache
