#include "service/key_version_follower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "service/apply_blocking.h"
#include "store/tables.h"
#include "tests/service/managed_hubs_fixture.h"

namespace cmkstore::service {
namespace {

// "k1" of the fixture gets a second version, which all hubs on it but those of a test's own follow.
class KeyVersionFollowerTest : public ManagedHubsTest {
 protected:
  static constexpr char kSecond[] = "https://contoso.vault.azure.net/keys/k1/2";

  // Tells of the second version, until so many hubs have been brought under it in all.
  void Follow(uint64_t hubs) {
    key_versions_.OnLatest({kVault, "K1", "", ""}, kSecond);
    Await([&] { return key_versions_.rewrapped() == hubs; });
  }
  static void Await(const std::function<bool()>& done) {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (!done() && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_TRUE(done());
  }
  std::string LogLines() { return *ReadFile(dir_.path() + "/log.jsonl"); }
};

TEST_F(KeyVersionFollowerTest, AllHubsThatFollowTheKeyAreBroughtUnderItsNewVersion) {  // KL-14
  for (const char* id : {"h2", "pins", "locked"}) ASSERT_THAT(CreateHub(id), IsOk());
  ASSERT_THAT(key_changes_.Rotate(*Find("h1"), 2, clock_.WallNow() + absl::Seconds(5)), IsOk());
  ASSERT_EQ(Served(), "");
  Edit("pins", [](auto& record) { record.mutable_customer_key()->set_key_version("1"); });
  Edit("locked", [](auto& record) { record.set_locked_by_push(true); });
  vault_.AddVersion("k1");
  Follow(2);
  key_versions_.Stop();
  EXPECT_EQ(Keys(), "k1, k1/2");
  EXPECT_EQ(key_source_.Load(uid_)->deks.front().facts.kek_id, kSecond) << "older ones, too";
  EXPECT_EQ(Keys(Find("h2")->uid), "k1, k1/2");
  EXPECT_EQ(Keys(Find("pins")->uid), "k1, k1/1");
  EXPECT_EQ(Keys(Find("locked")->uid), "k1, k1/1");
  EXPECT_EQ(key_versions_.rewrapped(), 2u);
  EXPECT_EQ(key_versions_.failed(), 0u);
  EXPECT_TRUE(keys_->Status(uid_).cached) << "it was in use";
  EXPECT_FALSE(keys_->Status(Find("h2")->uid).cached);
  EXPECT_NE(LogLines().find("key_version_followed"), std::string::npos);
}

TEST_F(KeyVersionFollowerTest, WhatIsUnderTheLatestVersionCostsNoCall) {
  const int before = vault_.describes();
  key_versions_.OnLatest({kVault, "k1", "", ""}, "https://contoso.vault.azure.net/keys/k1/1");
  key_versions_.OnLatest({kVault, "other", "", ""}, "https://contoso.vault.azure.net/keys/other/9");
  vault_.AddVersion("k1");
  Follow(1);
  EXPECT_EQ(vault_.describes(), before + 1) << "but for the new one";
}

TEST_F(KeyVersionFollowerTest, AVaultWithTroubleIsAskedOnceInARoundAndAgainInTheNext) {
  ASSERT_THAT(CreateHub("h2"), IsOk());
  vault_.AddVersion("k1");
  vault_.FailNext(VaultUnreachable("http_5xx", absl::Seconds(5)));
  const vault::KeyRef key{kVault, "k1", "", ""};
  key_versions_.OnLatest(key, kSecond);
  Await([&] { return key_versions_.failed() == 1; });
  EXPECT_EQ(key_versions_.failed(), 1u);
  EXPECT_NE(LogLines().find("key_version_not_followed"), std::string::npos);
  Follow(2);
  EXPECT_EQ(Keys(), "k1, k1/2");
  EXPECT_EQ(Keys(Find("h2")->uid), "k1, k1/2");
}

TEST_F(KeyVersionFollowerTest, WhatCannotBeFollowedIsSaidOnceAnHourOrWhenItChanges) {
  vault_.AddVersion("k1");
  vault_.RefuseWraps(WithCause(CustomerKeyRevoked("wrapKey is not permitted"), "Forbidden"));
  const auto attempt = [&] {
    const uint64_t before = key_versions_.failed();
    key_versions_.OnLatest({kVault, "k1", "", ""}, kSecond);
    Await([&] { return key_versions_.failed() == before + 1; });
  };
  const auto warnings = [&] {
    const std::vector<std::string> lines = absl::StrSplit(LogLines(), '\n');
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return absl::StrContains(line, "key_version_not_followed");
    });
  };
  for (int i = 0; i < 3; ++i) attempt();
  EXPECT_EQ(warnings(), 1);
  EXPECT_TRUE(absl::StrContains(LogLines(), "CUSTOMER_KEY_UNFIT")) << "the hub is still read";
  EXPECT_FALSE(absl::StrContains(LogLines(), "CUSTOMER_KEY_REVOKED"));
  EXPECT_EQ(Served(), "");
  vault_.FailNext(VaultUnreachable("http_5xx", absl::Seconds(5)));
  attempt();
  EXPECT_EQ(warnings(), 2);
  attempt();
  attempt();
  EXPECT_EQ(warnings(), 3);
  clock_.Advance(absl::Hours(1));
  attempt();
  key_versions_.Stop();
  EXPECT_EQ(warnings(), 4);
}

TEST_F(KeyVersionFollowerTest, ARefusedOlderGenerationKeepsNoOtherFromBeingFollowed) {  // KL-14
  ASSERT_THAT(key_changes_.Rotate(*Find("h1"), 2, clock_.WallNow() + absl::Seconds(5)), IsOk());
  storage::v1::DekRecord damaged = ToRecord(key_source_.Load(uid_)->deks.front());
  damaged.set_check(std::string(16, 'x'));
  store::WriteSet writes;
  store::DeksTable::Put(writes, 1, damaged);
  ASSERT_THAT(ApplyBlocking(engine_, Find("h1")->partition, std::move(writes)), IsOk());
  vault_.AddVersion("k1");
  key_versions_.OnLatest({kVault, "k1", "", ""}, kSecond);
  Await([&] { return key_versions_.failed() == 1; });
  EXPECT_EQ(Keys(), "k1, k1/2");
  EXPECT_NE(LogLines().find("generation 1 stays under an older version"), std::string::npos);
}

TEST_F(KeyVersionFollowerTest, AHubOfManyGenerationsIsFollowedBitByBit) {
  ASSERT_THAT(CreateHub("h2"), IsOk());
  for (uint32_t generation = 2; generation <= 5; ++generation) {
    ASSERT_THAT(key_changes_.Rotate(*Find("h1"), generation, clock_.WallNow() + absl::Seconds(5)),
                IsOk());
  }
  vault_.AddVersion("k1");
  int unwraps = 0;
  vault_.OnUnwrap([&](const vault::KeyRef&) {
    clock_.Advance(absl::Seconds(8));
    ++unwraps;
  });
  Follow(2);
  key_versions_.Stop();
  const keycache::HubKeyRecords records = *key_source_.Load(uid_);
  for (const auto& dek : records.deks) EXPECT_EQ(dek.facts.kek_id, kSecond);
  EXPECT_EQ(Keys(Find("h2")->uid), "k1, k1/2");
  EXPECT_EQ(key_versions_.failed(), 0u);
  EXPECT_EQ(unwraps, 12) << "two for each DEK, none done again";
}

TEST_F(KeyVersionFollowerTest, ASlowVaultDoesNotHoldUpTheHubsOfAnother) {
  for (const char* id : {"h2", "h3", "z1"}) ASSERT_THAT(CreateHub(id), IsOk());
  constexpr char kOther[] = "https://fabrikam.vault.azure.net";
  Edit("z1", [&](auto& record) { record.mutable_customer_key()->set_vault_uri(kOther); });
  vault_.AddVersion("k1");
  std::vector<std::string> asked;
  vault_.OnUnwrap([&](const vault::KeyRef& key) {
    if (asked.empty()) {
      key_versions_.OnLatest({kOther, "k1", "", ""}, absl::StrCat(kOther, "/keys/k1/2"));
    }
    if (asked.empty() || asked.back() != key.vault_uri) asked.push_back(key.vault_uri);
    if (key.vault_uri == kVault) clock_.Advance(absl::Seconds(15));
  });
  Follow(4);
  key_versions_.Stop();
  EXPECT_EQ(asked, (std::vector<std::string>{kVault, kOther, kVault}));
  EXPECT_EQ(Keys(Find("h3")->uid), "k1, k1/2");
}

}  // namespace
}  // namespace cmkstore::service
