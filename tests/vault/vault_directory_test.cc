#include "vault/vault_directory.h"

#include <gtest/gtest.h>

#include "tests/testing/matchers.h"
#include "tests/testing/scripted_transport.h"
#include "tests/testing/virtual_clock.h"
#include "vault/azure_answers.h"

namespace cmkstore::vault {
namespace {

using testing::FailsWith;
using testing::IsOk;

constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";
constexpr char kOther[] = "99999999-2222-4333-8444-555555555555";

HttpResponse Challenge(const std::string& challenge, int status = 401) {
  return {status, {{"WWW-Authenticate", challenge}}, ""};
}
HttpResponse ChallengeOf(const std::string& directory) {
  return Challenge("Bearer authorization=\"https://login.microsoftonline.com/" + directory +
                   "\", resource=\"https://vault.azure.net\"");
}

class VaultDirectoryTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Check(const std::string& tenant,
                                    const std::string& vault = "https://contoso.vault.azure.net") {
    VaultAddressPolicy addresses;
    addresses.allowed_hosts = {"localhost:8443"};
    VaultDirectory directory(options_, addresses, transport_, budget_, meter_, clock_, random_);
    return directory.CheckMayName(tenant, {vault, "k1", "", ""},
                                  clock_.WallNow() + absl::Seconds(10));
  }

  testing::VirtualClock clock_;
  testing::ScriptedTransport transport_;
  crypto::SystemRandom random_;
  CallBudget budget_{clock_};
  VaultMeter meter_{clock_};
  VaultDirectoryOptions options_;
};

TEST_F(VaultDirectoryTest, AVaultOfTheTenantsOwnDirectoryIsAskedWithoutAToken) {
  transport_.Answer(ChallengeOf(kTenant));
  EXPECT_THAT(Check(kTenant), IsOk());
  ASSERT_EQ(transport_.requests().size(), 1u);
  EXPECT_EQ(transport_.requests()[0].url,
            "https://contoso.vault.azure.net/keys/k1?api-version=7.4");
  EXPECT_EQ(testing::HeaderOf(transport_.requests()[0], "Authorization"), "");
  EXPECT_EQ(testing::HeaderOf(transport_.requests()[0], "x-ms-client-request-id").size(), 32u);
}

TEST_F(VaultDirectoryTest, TheCallIsMeteredAndThrottledVaultsAreLeftAlone) {
  const std::string vault = "https://contoso.vault.azure.net";
  for (int i = 0; i < 3; ++i) {
    transport_.Answer(ChallengeOf(kTenant));
    EXPECT_THAT(Check(kTenant), IsOk());
  }
  EXPECT_EQ(meter_.Usage(vault).busiest_second, 3u);
  EXPECT_EQ(meter_.Usage(vault).describes, 0u) << "Azure charges for no call without a token";
  EXPECT_EQ(meter_.Trouble(vault).side, TroubleSide::kNone);
  transport_.Answer(HttpResponse{429, {{"Retry-After", "60"}}, ""});
  EXPECT_THAT(Check(kTenant), FailsWith("VAULT_THROTTLED", ""));
  EXPECT_THAT(Check(kTenant), FailsWith("VAULT_THROTTLED", ""));
  EXPECT_EQ(transport_.requests().size(), 4u) << "it is left alone for as long as it says";
}

// Any tenant may name any vault: what that costs is not its owner's budget.
TEST_F(VaultDirectoryTest, WhoNamesAnothersVaultUsesUpOnlyTheirOwnTurns) {
  const std::string vault = "https://contoso.vault.azure.net";
  absl::Time began = clock_.WallNow();
  for (int i = 0; i < 50; ++i) {
    transport_.Answer(ChallengeOf(kTenant));
    EXPECT_THAT(Check(kOther), FailsWith("FIELD_INVALID", kTenant));
  }
  EXPECT_GE(clock_.WallNow() - began, absl::Seconds(4));
  began = clock_.WallNow();
  transport_.Answer(ChallengeOf(kTenant));
  EXPECT_THAT(Check(kTenant), IsOk());
  EXPECT_TRUE(budget_.TryTake(vault, CallsPerSecondOfAnyKey()));
  EXPECT_TRUE(budget_.TryTake(vault, CallsPerSecondOfAnyKey())) << "the bucket was full";
  EXPECT_EQ(clock_.WallNow(), began) << "its owner waits for nobody";
}

TEST_F(VaultDirectoryTest, OfAnotherDirectoryItIsRefusedUnlessTheOperatorSharesThatOne) {
  transport_.Answer(ChallengeOf(kOther));
  EXPECT_THAT(Check(kTenant), FailsWith("FIELD_INVALID", kOther));
  options_.shared[kOther] = {"00000000-0000-4000-8000-000000000000"};
  transport_.Answer(ChallengeOf(kOther));
  EXPECT_THAT(Check(kTenant), FailsWith("FIELD_INVALID", kOther)) << "shared with somebody else";
  options_.shared[kOther].insert(kTenant);
  transport_.Answer(ChallengeOf(kOther));
  EXPECT_THAT(Check(kTenant), IsOk());
  options_.shared[kOther] = {"*"};
  transport_.Answer(ChallengeOf(kOther));
  EXPECT_THAT(Check(kTenant), IsOk());
}

TEST_F(VaultDirectoryTest, LettersAreComparedWithoutCase) {
  transport_.Answer(ChallengeOf("AAAAAAAA-2222-4333-8444-555555555555"));
  EXPECT_THAT(Check("aaaaaaaa-2222-4333-8444-555555555555"), IsOk());
  transport_.Answer(ChallengeOf("aaaaaaaa-2222-4333-8444-555555555555"));
  EXPECT_THAT(Check("AAAAAAAA-2222-4333-8444-555555555555"), IsOk());
}

TEST_F(VaultDirectoryTest, WhatNamesNoDirectoryIsNotBelieved) {
  for (const HttpResponse& answer :
       {Challenge(""), ChallengeOf("common"), Challenge("Bearer resource=\"x\""),
        ChallengeOf("11111111-2222-4333-8444-55555555555"), HttpResponse{200, {}, "{}"},
        Challenge(std::string("Bearer authorization=\"https://login.microsoftonline.com/") +
                      kTenant + "\"",
                  200)}) {
    transport_.Answer(answer);
    EXPECT_THAT(Check(kTenant), FailsWith("VAULT_UNREACHABLE", "which directory"));
  }
  transport_.Answer(HttpResponse{503, {}, ""});
  EXPECT_THAT(Check(kTenant), FailsWith("VAULT_UNREACHABLE", "503"));
  transport_.Answer(testing::JsonAnswer(
      403, R"({"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByFirewall"}}})"));
  const absl::Status forbidden = Check(kTenant).status();
  EXPECT_THAT(forbidden, FailsWith("VAULT_UNREACHABLE", "403"));
  EXPECT_EQ(CauseOf(forbidden), "ForbiddenByFirewall");
  EXPECT_THAT(Check(kTenant), FailsWith("VAULT_UNREACHABLE", "the script has ended"));
}

TEST_F(VaultDirectoryTest, ALocalVaultMayNameNoneButNotAnother) {
  const std::string local = "https://localhost:8443";
  transport_.Answer(Challenge("Bearer resource=\"x\""));
  EXPECT_THAT(Check(kTenant, local), IsOk());
  transport_.Answer(HttpResponse{200, {}, "{}"});
  EXPECT_THAT(Check(kTenant, local), IsOk());
  transport_.Answer(ChallengeOf(kOther));
  EXPECT_THAT(Check(kTenant, local), FailsWith("FIELD_INVALID", kOther));
}

TEST(ChallengeDirectoryTest, IsTheFirstPartOfTheAuthoritysPath) {
  const std::string guid = kTenant;
  EXPECT_EQ(ChallengeDirectory("Bearer authorization=\"https://login.windows.net/" + guid + "\""),
            guid);
  EXPECT_EQ(ChallengeDirectory("Bearer authorization_uri=https://login.windows.net/" + guid +
                               "/oauth2, resource=x"),
            guid);
  EXPECT_EQ(ChallengeDirectory("Bearer authorization=\"http://login.windows.net/" + guid + "\""),
            "");
  EXPECT_EQ(ChallengeDirectory("Bearer authorization=\"https://login.windows.net\""), "");
  const std::string quoted = "authorization=\"https://login.windows.net/" + guid + "\"";
  EXPECT_EQ(ChallengeDirectory("Bearer authorization = \"https://login.windows.net/" + guid + "\""),
            guid);
  EXPECT_EQ(ChallengeDirectory("bearer resource=\"a, b=c\" ,\t" + quoted), guid);
  EXPECT_EQ(ChallengeDirectory("PoP nonce=\"x\", Bearer " + quoted), guid);
  EXPECT_EQ(ChallengeDirectory("Bearer resource=\"x\", PoP " + quoted), "");
  EXPECT_EQ(ChallengeDirectory("PoP " + quoted), "");
  EXPECT_EQ(ChallengeDirectory("Basic realm=\"x\", " + quoted), "");
  EXPECT_EQ(ChallengeDirectory(quoted), "") << "no scheme";
  EXPECT_EQ(ChallengeDirectory("Bearer resource=\"x " + quoted), "") << "inside of another value";
  EXPECT_EQ(ChallengeDirectory("Bearer xauthorization=\"https://login.windows.net/" + guid + "\""),
            "");
}

}  // namespace
}  // namespace cmkstore::vault
