// What probes ask a vault key by, and what an answer on one record says of the others.

#include "tests/keycache/key_cache_fixture.h"

namespace cmkstore::keycache {
namespace {

using KeySampleTest = KeyCacheRacesTest;

// After a restart into an outage nothing of the key has ever been unwrapped.
TEST_F(KeySampleTest, ACorruptRecordKeepsNoNeighbourDarkAfterAnOutage) {  // KL-11
  for (const bool probed : {true, false}) {
    const std::string key = probed ? "probed" : "fetched";
    const HubUid good = NewHub(key), bad = NewHub(key);
    HubKeyRecords records = *source_.Load(bad);
    records.deks[0].wrapped.ciphertext[0] ^= 1;
    source_.Set(bad, records);
    vault_.Break(key, kOutage);
    for (HubUid hub : {bad, good}) EXPECT_THAT(Fetch(hub), FailsWith("VAULT_UNREACHABLE", ""));
    vault_.Heal(key);
    if (!probed) {
      cache().Forget(bad);
      EXPECT_THAT(Fetch(bad), FailsWith("DEK_RECORD_CORRUPT", ""));
    }
    Pass(absl::Seconds(15));
    EXPECT_THAT(Fetch(good), IsOk());
    EXPECT_EQ(cache().Status(good).availability, KeyAvailability::kAvailable);
    EXPECT_THAT(Fetch(bad), FailsWith("DEK_RECORD_CORRUPT", ""));
    EXPECT_THAT(cache().Lookup(good), IsOk());
  }
}

// A vault that recovers a deleted key may say for a while that the version is gone.
TEST_F(KeySampleTest, ADeniedKeyThatNothingWasUnwrappedByComesBack) {  // KL-12
  const HubUid hub = NewHub();
  vault_.Break("key", kDenied);
  EXPECT_THAT(Fetch(hub), FailsWith("CUSTOMER_KEY_REVOKED", ""));
  Pass(absl::Seconds(15));
  ASSERT_EQ(cache().Status(hub).availability, KeyAvailability::kDenied);
  vault_.Break("key", DekRecordCorrupt("the version is gone"));
  Pass(absl::Seconds(30));
  EXPECT_FALSE(Fetch(hub).ok());
  vault_.Heal("key");
  Pass(absl::Seconds(15));
  EXPECT_THAT(Fetch(hub), IsOk());
  EXPECT_EQ(cache().Stats().locked_hubs, 0u);
}

TEST_F(KeySampleTest, ACorruptRecordTakesNoSampleFromAProbeInLine) {  // KL-2
  const HubUid bad = NewHub(), cold = NewHub();
  HubKeyRecords records = *source_.Load(bad);
  records.deks[0].wrapped.ciphertext[0] ^= 1;
  source_.Set(bad, records);
  served_by_ = &slow_;
  slow_.HoldNextAnswer();
  Start(bad);  // its record is the key's sample from now on
  slow_.AwaitHeld();
  vault_.Break("key", kOutage);
  ASSERT_THAT(Fetch(cold), FailsWith("VAULT_UNREACHABLE", ""));
  clock_.Advance(absl::Seconds(13));
  while (budget_.TryTakeOnCredit("https://contoso.vault.azure.net", 100)) continue;
  cache().Tick();
  ASSERT_EQ(cache().Stats().calls_in_line, 1u) << "the probe";
  slow_.Release();
  while (ended_ < 1) std::this_thread::yield();
  vault_.Heal("key");
  Pass(absl::Seconds(15));
  EXPECT_THAT(Fetch(cold), IsOk());
}

TEST_F(KeySampleTest, AVaultThatAnswersNothingButCorruptIsNotTakenForSilent) {  // KL-5
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  vault_.Break("key", kOutage);
  Pass(absl::Minutes(2));
  ASSERT_NE(*cache().Lookup(hub), nullptr) << "within the grace";
  vault_.Break("key", DekRecordCorrupt("the version is gone"));
  Pass(absl::Seconds(15));
  EXPECT_THAT(Fetch(hub), FailsWith("DEK_RECORD_CORRUPT", ""));
  EXPECT_TRUE(listener_.locks().empty());
  vault_.Heal("key");
  EXPECT_THAT(Fetch(hub), IsOk());
}

TEST_F(KeySampleTest, TwoGenerationsUnderOneOldVersionAreWipedTogether) {
  const HubUid hub = NewHub();
  const DekId older[] = {AddGeneration(hub), AddGeneration(hub)};
  HubKeyRecords records = *source_.Load(hub);
  for (int i : {0, 1}) {
    records.deks[i].wrapped.version_id = "https://contoso.vault.azure.net/keys/key/0";
  }
  source_.Set(hub, records);
  for (DekId dek : older) ASSERT_THAT(FetchOpen(hub, dek), IsOk());
  cache().Lock(hub);
  ASSERT_EQ(listener_.locks().size(), 1u);
  EXPECT_EQ(listener_.locks()[0].keys_wiped, 3u);
  const KeyCacheStats stats = cache().Stats();
  EXPECT_EQ(stats.vault_keys_available, 1u) << "nobody is under the old version";
}

}  // namespace
}  // namespace cmkstore::keycache
