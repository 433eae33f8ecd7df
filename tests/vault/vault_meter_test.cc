#include "vault/vault_meter.h"

#include <gtest/gtest.h>

#include "base/errors.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::vault {
namespace {

using Operation = VaultMeter::Operation;

constexpr char kOurs[] = "https://contoso.vault.azure.net";
constexpr char kOther[] = "https://fabrikam.vault.azure.net";
const absl::Status kDns = WithCause(VaultUnreachable("dns: no such host", absl::Seconds(5)), "dns");

class VaultMeterTest : public ::testing::Test {
 protected:
  void Count(const char* vault, const absl::Status& answer) {
    meter_.Count(vault, Operation::kUnwrap, answer);
  }
  testing::VirtualClock clock_;
  VaultMeter meter_{clock_};
};

TEST_F(VaultMeterTest, CallsAreCountedByWhatTheyAskedAndHowTheyEnded) {
  const absl::Time began = clock_.WallNow();
  meter_.Count(kOurs, Operation::kDescribe, absl::OkStatus());
  meter_.Count(kOurs, Operation::kWrap, CustomerKeyRevoked("x"));
  Count(kOurs, absl::OkStatus());
  clock_.Advance(absl::Seconds(1));
  Count(kOurs, kDns);
  Count(kOurs, VaultThrottled(absl::Seconds(1)));
  const VaultUsage usage = meter_.Usage(kOurs);
  EXPECT_EQ(usage.since, began);
  EXPECT_EQ(usage.describes, 1u);
  EXPECT_EQ(usage.wraps, 1u);
  EXPECT_EQ(usage.unwraps, 3u);
  EXPECT_EQ(usage.denials, 1u);
  EXPECT_EQ(usage.failures, 1u);
  EXPECT_EQ(usage.throttled, 1u);
  EXPECT_EQ(usage.busiest_second, 4u) << "a wrap reads the description too";
  EXPECT_EQ(meter_.Usage(kOther).since, absl::InfiniteFuture());
}

TEST_F(VaultMeterTest, AVaultThatAnswersIsInNoTrouble) {
  Count(kOurs, kDns);
  Count(kOurs, CustomerKeyRevoked("disabled"));
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kNone) << "a refusal is an answer";
}

TEST_F(VaultMeterTest, OneVaultThatFailsAmongOthersThatAnswerIsTheTenantsTrouble) {
  Count(kOther, absl::OkStatus());
  const absl::Time since = clock_.WallNow();
  Count(kOurs, kDns);
  clock_.Advance(absl::Seconds(30));
  Count(kOurs, kDns);
  const VaultTrouble trouble = meter_.Trouble(kOurs);
  EXPECT_EQ(trouble.side, TroubleSide::kThisVault);
  EXPECT_EQ(trouble.cause, "dns");
  EXPECT_EQ(trouble.since, since);
  EXPECT_EQ(trouble.others_answering, 1u);
}

TEST_F(VaultMeterTest, AllVaultsThatFailAreOurNetworksTrouble) {
  Count(kOther, kDns);
  Count(kOurs, kDns);
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kOurNetwork);
  EXPECT_EQ(meter_.Trouble(kOurs).others_failing, 1u);
}

TEST_F(VaultMeterTest, NothingIsSaidFromVaultsThatWereNotCalledLately) {
  Count(kOther, absl::OkStatus());
  clock_.Advance(absl::Minutes(3));
  Count(kOurs, kDns);
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kUnknown);
}

TEST_F(VaultMeterTest, ALoginThatFailsIsOursWhateverOtherVaultsDo) {
  Count(kOther, absl::OkStatus());
  Count(kOurs, WithCause(VaultLoginFailed("no token"), "login"));
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kOurLogin);
}

TEST_F(VaultMeterTest, ThrottlingIsTheVaults) {
  Count(kOurs, WithCause(VaultThrottled(absl::Seconds(1)), "throttled"));
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kThisVault);
}

TEST_F(VaultMeterTest, VaultsInTroubleAreCountedBySideWhileTheyAreCalled) {
  const absl::Status login = WithCause(VaultLoginFailed("no token"), "login");
  Count(kOurs, kDns);
  EXPECT_EQ(meter_.Troubles()[TroubleSide::kUnknown], 1u) << "there is no other to compare with";
  Count(kOther, kDns);
  EXPECT_EQ(meter_.Troubles()[TroubleSide::kOurNetwork], 2u);
  Count(kOther, login);
  Count("https://third.vault.azure.net", absl::OkStatus());
  EXPECT_EQ(meter_.Troubles()[TroubleSide::kThisVault], 1u);
  EXPECT_EQ(meter_.Troubles()[TroubleSide::kOurLogin], 1u);
  EXPECT_EQ(meter_.Troubles()[TroubleSide::kOurNetwork], 0u);
  clock_.Advance(absl::Minutes(3));
  EXPECT_TRUE(meter_.Troubles().empty()) << "nobody calls them any more";
}

TEST_F(VaultMeterTest, TheLongestSilentVaultGoesFirst) {
  VaultMeter small(clock_, 2);
  for (const char* vault : {"a", "b", "c"}) {
    small.Count(vault, Operation::kUnwrap, absl::OkStatus());
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(small.Usage("a").unwraps, 0u);
  EXPECT_EQ(small.Usage("c").unwraps, 1u);
}

}  // namespace
}  // namespace cmkstore::vault
