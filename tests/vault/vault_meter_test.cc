#include "vault/vault_meter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "tests/testing/virtual_clock.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

using Operation = VaultMeter::Operation;

KeyRef KeyOf(const std::string& vault, const std::string& identity = "") {
  return {vault, "k", "", identity};
}

constexpr char kOurs[] = "https://contoso.vault.azure.net";
constexpr char kOther[] = "https://fabrikam.vault.azure.net";
const absl::Status kDns = WithCause(VaultUnreachable("dns: no such host", absl::Seconds(5)), "dns");

class VaultMeterTest : public ::testing::Test {
 protected:
  void Count(const char* vault, const absl::Status& answer) {
    meter_.Count(KeyOf(vault), Operation::kUnwrap, answer);
  }
  testing::VirtualClock clock_;
  VaultMeter meter_{clock_};
};

TEST_F(VaultMeterTest, CallsAreCountedByWhatTheyAskedAndHowTheyEnded) {
  const absl::Time began = clock_.WallNow();
  meter_.Count(KeyOf(kOurs), Operation::kDescribe, absl::OkStatus());
  meter_.Count(KeyOf(kOurs), Operation::kWrap, CustomerKeyRevoked("x"));
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

TEST_F(VaultMeterTest, WhatWasNeverSentForWantOfATokenIsNoCall) {
  for (const char* cause : {"login", "no_consent"}) {
    Count(kOurs, WithCause(VaultLoginFailed("no token"), cause));
  }
  EXPECT_EQ(meter_.Usage(kOurs).unwraps, 0u);
  EXPECT_EQ(meter_.Usage(kOurs).busiest_second, 0u);
  EXPECT_EQ(meter_.Usage(kOurs).since, absl::InfiniteFuture());
  EXPECT_EQ(meter_.Usage(kOurs).failures, 2u);
  Count(kOurs, TokenRefused());
  EXPECT_EQ(meter_.Usage(kOurs).unwraps, 1u);
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

// An answer, be it an error, proves that our network works: only vaults of which none is reached
// are our network's trouble.
TEST(VaultMeterSideTest, EachPairOfOutagesIsAttributedToWhomItIs) {
  const absl::Status ok;
  const auto outage = [](const char* cause) {
    return WithCause(VaultUnreachable(cause, absl::Seconds(5)), cause);
  };
  const absl::Status throttled = WithCause(VaultThrottled(absl::Seconds(1)), "throttled");
  const absl::Status login = WithCause(VaultLoginFailed("no token"), "login");
  const absl::Status unknown = WithCause(VaultLoginFailed("not known there"), kNoConsent);
  const absl::Status token = TokenRefused();
  const absl::Status refused = CustomerKeyRevoked("disabled");
  constexpr auto kThis = TroubleSide::kThisVault;
  constexpr auto kService = TroubleSide::kVaultService;
  constexpr auto kNetwork = TroubleSide::kOurNetwork;
  struct Row {
    absl::Status ours;
    std::vector<absl::Status> others;
    TroubleSide side;
  };
  const std::vector<Row> rows = {
      // It answers with an error.
      {outage("http_5xx"), {}, kThis},
      {outage("http_5xx"), {ok}, kThis},
      {outage("http_5xx"), {refused}, kThis},
      {outage("http_5xx"), {outage("timeout")}, kThis},
      {outage("http_5xx"), {outage("http_5xx")}, kService},
      {outage("http_5xx"), {outage("http_5xx"), outage("http_5xx"), ok}, kThis},
      {outage("http_5xx"), {throttled}, kService},
      {outage("http_5xx"), {login}, kThis},
      {outage("unknown"), {outage("unknown")}, kService},
      {outage("too_large"), {outage("dns")}, kThis},
      {throttled, {}, kThis},
      {throttled, {ok}, kThis},
      {throttled, {outage("timeout")}, kThis},
      {throttled, {throttled}, kService},
      // It is not reached.
      {outage("dns"), {}, TroubleSide::kUnknown},
      {outage("dns"), {ok}, kThis},
      {outage("connect"), {refused}, kThis},
      {outage("tls"), {outage("connect")}, kNetwork},
      {outage("timeout"), {outage("timeout"), outage("dns")}, kNetwork},
      {outage("transport"), {outage("transport")}, kNetwork},
      {outage("timeout"), {outage("http_5xx"), outage("timeout")}, kService},
      {outage("timeout"), {throttled}, kService},
      {outage("timeout"), {login}, TroubleSide::kUnknown},
      // Our login.
      {login, {ok}, TroubleSide::kOurLogin},
      {login, {outage("dns")}, TroubleSide::kOurLogin},
      // It does not take our token, or its directory gives us none.
      {token, {}, TroubleSide::kOurLogin},
      {token, {token}, TroubleSide::kOurLogin},
      {token, {login}, TroubleSide::kOurLogin},
      {token, {outage("dns")}, TroubleSide::kOurLogin},
      {token, {ok}, kThis},
      {token, {token, refused}, kThis},
      {token, {token, outage("http_5xx")}, TroubleSide::kOurLogin},
      {unknown, {}, kThis},
      {unknown, {login}, kThis},
      {outage("dns"), {token}, TroubleSide::kUnknown},
      // It answers well, or refuses.
      {ok, {outage("dns")}, TroubleSide::kNone},
      {refused, {outage("http_5xx")}, TroubleSide::kNone},
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    testing::VirtualClock clock;
    VaultMeter meter(clock);
    uint32_t in_trouble = 0;
    for (size_t other = 0; other < rows[i].others.size(); ++other) {
      const absl::Status& answer = rows[i].others[other];
      meter.Count(KeyOf(absl::StrCat("other", other)), Operation::kUnwrap, answer);
      in_trouble += answer.ok() || answer == refused ? 0 : 1;
    }
    meter.Count(KeyOf(kOurs), Operation::kUnwrap, rows[i].ours);
    EXPECT_EQ(meter.Trouble(kOurs).side, rows[i].side) << "row " << i;
    if (rows[i].side == TroubleSide::kNone) continue;
    uint32_t counted = 0;
    for (const auto& [side, vaults] : meter.Troubles()) {
      if (side != TroubleSide::kNone) counted += vaults;
    }
    EXPECT_EQ(counted, in_trouble + 1) << "row " << i;
    EXPECT_GE(meter.Troubles()[rows[i].side], 1u) << "row " << i;
    EXPECT_EQ(meter.Troubles()[TroubleSide::kNone], rows[i].others.size() - in_trouble);
  }
}

TEST_F(VaultMeterTest, OtherVaultsAreCountedByWhetherTheyAnswerWithAnErrorOrNotAtAll) {
  Count("a", absl::OkStatus());
  Count("b", WithCause(VaultUnreachable("503", absl::Seconds(5)), "http_5xx"));
  Count("c", WithCause(VaultThrottled(absl::Seconds(1)), "throttled"));
  Count("d", kDns);
  Count("e", WithCause(VaultLoginFailed("no token"), "login"));
  Count(kOurs, kDns);
  const VaultTrouble trouble = meter_.Trouble(kOurs);
  EXPECT_EQ(trouble.others_answering, 1u);
  EXPECT_EQ(trouble.others_failing, 3u);
  EXPECT_EQ(trouble.others_erring, 2u);
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

TEST_F(VaultMeterTest, ATokenThatOtherVaultsTakeIsComparedByTheIdentityThatItIsOf) {
  meter_.Count(KeyOf(kOther, "another"), Operation::kUnwrap, absl::OkStatus());
  meter_.Count(KeyOf(kOurs, "ours"), Operation::kUnwrap, TokenRefused());
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kOurLogin);
  meter_.Count(KeyOf("third", "ours"), Operation::kUnwrap, absl::OkStatus());
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kThisVault);
  EXPECT_EQ(meter_.Troubles()[TroubleSide::kThisVault], 1u);
  clock_.Advance(absl::Minutes(3));
  meter_.Count(KeyOf(kOurs, "ours"), Operation::kUnwrap, TokenRefused());
  EXPECT_EQ(meter_.Trouble(kOurs).side, TroubleSide::kOurLogin) << "that was long ago";
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
    small.Count(KeyOf(vault), Operation::kUnwrap, absl::OkStatus());
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(small.Usage("a").unwraps, 0u);
  EXPECT_EQ(small.Usage("c").unwraps, 1u);
}

}  // namespace
}  // namespace cmkstore::vault
