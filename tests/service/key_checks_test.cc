#include "service/key_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

// The fake vault with a description and refusals of the test's choice.
class OddVault final : public vault::KeyVault {
 public:
  absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key,
                                                 absl::Time deadline) override {
    ++describes;
    if (on_describe) on_describe();
    if (!describe.ok()) return describe;
    auto description = fake.Describe(key, deadline);
    if (edit) edit(*description);
    return description;
  }
  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                         absl::Time deadline) override {
    if (!wrap.ok()) return wrap;
    return fake.Wrap(key, dek, deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time deadline) override {
    if (!unwrap.ok()) return unwrap;
    return fake.Unwrap(key, wrapped, deadline);
  }

  absl::Status describe, wrap, unwrap;
  std::function<void(vault::KeyDescription&)> edit;
  std::function<void()> on_describe;
  int describes = 0;
  testing::FakeKeyVault fake;
};

absl::Status Refusal(const char* cause) { return WithCause(CustomerKeyRevoked(cause), cause); }
absl::Status Outage(const char* cause) {
  return WithCause(VaultUnreachable(cause, absl::Seconds(5)), cause);
}

constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";

// A vault that is called without a token: says whose it is, every time.
class ChallengingTransport final : public HttpTransport {
 public:
  absl::StatusOr<HttpResponse> Send(const HttpRequest&, absl::Time) override { return answer; }

  absl::StatusOr<HttpResponse> answer = HttpResponse{
      401,
      {{"WWW-Authenticate",
        absl::StrCat("Bearer authorization=\"https://login.windows.net/", kTenant, "\"")}},
      ""};
};

class KeyChecksTest : public ::testing::Test {
 protected:
  std::map<std::string, v1::KeyCheck> Run() {
    response_ = checks_.Run(tenant_, key_, clock_.WallNow() + absl::Seconds(30));
    std::map<std::string, v1::KeyCheck> rows;
    for (const v1::KeyCheck& row : response_.checks()) rows[row.check()] = row;
    return rows;
  }
  // The names of the rows that ended so, in order.
  std::string Rows(v1::KeyCheck::Result result) {
    std::string names;
    Run();
    for (const v1::KeyCheck& row : response_.checks()) {
      if (row.result() == result) absl::StrAppend(&names, names.empty() ? "" : " ", row.check());
    }
    return names;
  }
  absl::Status Require() {
    return checks_.Require(tenant_, key_, clock_.WallNow() + absl::Seconds(30));
  }

  vault::KeyRef key_{"https://contoso-kv.vault.azure.net", "hub-key", "", ""};
  OddVault vault_;
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  std::string tenant_ = kTenant;
  ChallengingTransport transport_;
  vault::VaultDirectory directory_{{}, {}, transport_, clock_};
  KeyChecks checks_{KeyChecksOptions(), vault_,  directory_, vault::VaultAddressPolicy(),
                    random_,            clock_};
  v1::CheckKeyResponse response_;
};

TEST_F(KeyChecksTest, AGoodKeyPassesEveryCheckByName) {
  EXPECT_EQ(Rows(v1::KeyCheck::PASSED),
            "address directory reachable tls token get key_type key_ops enabled validity "
            "soft_delete purge_protection recoverable_days wrap unwrap");
  EXPECT_TRUE(response_.passed());
  EXPECT_THAT(Require(), IsOk());
}

TEST_F(KeyChecksTest, EveryFaultOfAKeyIsNamedAtOnceWithWhatToRun) {
  vault_.edit = [this](vault::KeyDescription& key) {
    key.type = "EC";
    key.operations = {"sign"};
    key.enabled = false;
    key.expires = clock_.WallNow() - absl::Hours(1);
    key.recovery_level = "Purgeable";
    key.soft_delete = key.purge_protection = false;
    key.recoverable_days = 3;
  };
  vault_.wrap = vault_.unwrap = Refusal("KeyOperationForbidden");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED),
            "key_type key_ops enabled validity soft_delete purge_protection recoverable_days wrap "
            "unwrap");
  EXPECT_FALSE(response_.passed());
  auto rows = Run();
  EXPECT_EQ(rows["enabled"].remedy(),
            "az keyvault key set-attributes --vault-name contoso-kv --name hub-key --enabled true");
  EXPECT_EQ(rows["purge_protection"].remedy(),
            "az keyvault update --name contoso-kv --enable-purge-protection true");
  for (const auto& [name, row] : rows) {
    EXPECT_NE(row.needed(), "") << name;
    EXPECT_NE(row.found(), "") << name;
    EXPECT_EQ(row.remedy().empty(), row.result() == v1::KeyCheck::PASSED) << name;
  }
  const absl::Status refused = Require();
  EXPECT_THAT(refused, FailsWith("CUSTOMER_KEY_UNFIT", "purge_protection"));
  EXPECT_EQ(ViolationsOf(refused).size(), 9u);
}

TEST_F(KeyChecksTest, AVaultOfAnotherDirectoryIsNotCalledWithOurToken) {
  tenant_ = "99999999-2222-4333-8444-555555555555";
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "directory");
  EXPECT_EQ(Rows(v1::KeyCheck::PASSED), "address");
  EXPECT_TRUE(absl::StrContains(Run()["directory"].remedy(), "vaults.shared_directories"));
  EXPECT_THAT(Require(), FailsWith("FIELD_INVALID", kTenant));
  EXPECT_EQ(vault_.describes, 0);
}

TEST_F(KeyChecksTest, AVaultThatDoesNotSayWhoseItIsIsNotCalledEither) {
  transport_.answer = Outage("tls");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "tls");
  transport_.answer = Outage("connect");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "reachable");
  EXPECT_THAT(Require(), FailsWith("VAULT_UNREACHABLE", "connect"));
  transport_.answer = HttpResponse{401, {}, ""};
  EXPECT_THAT(Require(), FailsWith("VAULT_UNREACHABLE", "which directory"));
  EXPECT_EQ(vault_.describes, 0);
}

TEST_F(KeyChecksTest, AMissingRoleIsNamedWithItsCommand) {
  vault_.describe = Refusal("ForbiddenByRbac");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get");
  EXPECT_TRUE(absl::StrContains(Run()["get"].remedy(),
                                "az role assignment create --role 'Key Vault "
                                "Crypto Service Encryption User'"));
  key_.vault_uri = "https://contoso.managedhsm.azure.net";
  EXPECT_TRUE(absl::StrContains(Run()["get"].remedy(), "--hsm-name contoso"));
}

TEST_F(KeyChecksTest, WhatIsAdvisedMendsWhatTheVaultRefusedWith) {
  vault_.describe = Refusal("KeyNotFound");
  EXPECT_TRUE(absl::StrContains(Run()["get"].remedy(),
                                "az keyvault key create --vault-name contoso-kv --name hub-key"));
  vault_.describe = absl::OkStatus();
  const std::pair<const char*, const char*> kAdvice[] = {
      {"KeyOperationForbidden", "--ops wrapKey unwrapKey"},
      {"KeyDisabled", "--enabled true"},
      {"KeyNotYetValidOrExpired", "--expires LATER"},
      {"ForbiddenByFirewall", "network-rule list"}};
  for (const auto& [cause, advice] : kAdvice) {
    vault_.wrap = vault_.unwrap = Refusal(cause);
    auto rows = Run();
    for (const char* check : {"wrap", "unwrap"}) {
      EXPECT_TRUE(absl::StrContains(rows[check].remedy(), advice)) << rows[check].remedy();
      EXPECT_FALSE(absl::StrContains(rows[check].remedy(), "role assignment")) << cause;
    }
  }
}

TEST_F(KeyChecksTest, ThePlatformsKeyIsTriedAsWhatItIs) {
  response_ = checks_.RunPlatform(clock_.WallNow() + absl::Seconds(30));
  EXPECT_TRUE(response_.passed());
  ASSERT_EQ(response_.checks_size(), 1);
  EXPECT_EQ(response_.checks(0).check(), "platform_key");
  EXPECT_EQ(response_.checks(0).result(), v1::KeyCheck::PASSED);
  vault_.unwrap = DekRecordCorrupt("no key of this server opens it");
  response_ = checks_.RunPlatform(clock_.WallNow() + absl::Seconds(30));
  EXPECT_FALSE(response_.passed());
  EXPECT_EQ(response_.checks(0).found(), vault_.unwrap.message());
  EXPECT_TRUE(absl::StrContains(response_.checks(0).remedy(), "platform.key"));
}

TEST_F(KeyChecksTest, ARoleOnItsWayIsWaitedForWithinItsBudget) {
  vault_.unwrap = Refusal("ForbiddenByRbac");
  const absl::Time began = clock_.WallNow();
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "unwrap");
  EXPECT_EQ(vault_.describes, 6);
  EXPECT_EQ(clock_.WallNow() - began, absl::Seconds(10));
  vault_.unwrap = Refusal("KeyDisabled");  // no role would mend it
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "unwrap");
  EXPECT_EQ(clock_.WallNow() - began, absl::Seconds(10));
}

struct FirstAnswer {
  absl::Status answer;
  std::string passed, failed;  // of the rows after address and directory
  std::string remedy;          // of the failed one
};

// What each answer to the first call shows, and what mends it: never a role where none is missing,
// and never a token called accepted by an answer that did not look at it.
TEST_F(KeyChecksTest, EveryFirstAnswerHasItsRowsAndItsRemedy) {
  const auto refused = [](const char* cause) {
    return WithCause(VaultLoginFailed("no token"), cause);
  };
  const FirstAnswer answers[] = {
      {Outage("dns"), "", "reachable", "DNS name"},
      {Outage("connect"), "", "reachable", "network-rule list"},
      {Outage("tls"), " reachable", "tls", "ends TLS"},
      {Outage("timeout"), " reachable tls", "get", "too slow or does not answer"},
      {Outage("http_5xx"), " reachable tls", "get", "trouble of its own"},
      {WithCause(VaultThrottled(absl::Seconds(1)), "throttled"), " reachable tls", "get",
       "asked too often"},
      {VaultThrottled(absl::Seconds(1)), "", "get", "asked too often"},
      {Outage("unknown"), " reachable tls", "get", "not a key vault"},
      {Outage("too_large"), " reachable tls", "get", "not a key vault"},
      {Outage("transport"), " reachable tls", "get", "not a key vault"},
      {refused("login"), "", "token", "its log says why"},
      {refused("token_refused"), " reachable tls", "token", "az ad sp create"},
      {Refusal("KeyNotFound"), " reachable tls token", "get", "az keyvault key create"},
      {Refusal("ForbiddenByRbac"), " reachable tls token", "get", "az role assignment"},
      {Refusal("ForbiddenByFirewall"), " reachable tls token", "get", "network-rule add"},
      {Refusal("ForbiddenByConnection"), " reachable tls token", "get",
       "private endpoint"}};
  for (const auto& [answer, passed, failed, remedy] : answers) {
    vault_.describe = answer;
    EXPECT_EQ(Rows(v1::KeyCheck::PASSED), "address directory" + passed) << answer;
    EXPECT_EQ(Rows(v1::KeyCheck::FAILED), failed) << answer;
    EXPECT_THAT(Run()[failed].remedy(), ::testing::HasSubstr(remedy)) << answer;
    const bool grants = absl::StrContains(Run()[failed].remedy(), "role assignment");
    EXPECT_EQ(grants, CauseOf(answer) == "ForbiddenByRbac") << answer;
    EXPECT_FALSE(response_.passed());
    const std::string reason = ReasonOf(answer);
    EXPECT_THAT(Require(),
                FailsWith(reason == "CUSTOMER_KEY_REVOKED" ? "CUSTOMER_KEY_UNFIT" : reason, ""));
  }
}

TEST_F(KeyChecksTest, AnOutageIsWaitedForAsLongAsARoleOnItsWay) {
  vault_.describe = Outage("http_5xx");
  const absl::Time began = clock_.WallNow();
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get");
  EXPECT_EQ(clock_.WallNow() - began, absl::Seconds(10));
  vault_.describe = WithCause(VaultThrottled(absl::Minutes(1)), "throttled");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get");
  EXPECT_EQ(clock_.WallNow() - began, absl::Seconds(10)) << "it asked for more time than there is";
}

TEST_F(KeyChecksTest, AHangingVaultGetsItsRowsWithinTheTimeOfTheCheck) {
  vault_.describe = Outage("timeout");
  vault_.on_describe = [this] { clock_.Advance(absl::Seconds(3)); };
  const absl::Time began = clock_.WallNow();
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get");
  EXPECT_LE(clock_.WallNow() - began, absl::Seconds(10));
  EXPECT_GT(vault_.describes, 1);
}

TEST_F(KeyChecksTest, WhatIsPermittedIsTriedThoughTheKeyCannotBeRead) {
  vault_.describe = Refusal("AccessDenied");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get");
  EXPECT_THAT(Run()["unwrap"].found(), ::testing::HasSubstr("it is permitted"));
  EXPECT_THAT(Run()["wrap"].found(), ::testing::HasSubstr("reads the key first"));
  vault_.unwrap = Refusal("KeyNotFound");
  EXPECT_THAT(Run()["unwrap"].found(), ::testing::HasSubstr("it is permitted"));
  vault_.unwrap = Refusal("AccessDenied");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get unwrap");
  vault_.describe = Refusal("KeyNotFound");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get") << "there is no key to try";
}

TEST_F(KeyChecksTest, BothWaysOfGrantingAreNamedWhereTheAnswerDoesNotTell) {
  for (const char* cause : {"AccessDenied", "ForbiddenByPolicy", "Forbidden"}) {
    vault_.wrap = vault_.unwrap = Refusal(cause);
    auto rows = Run();
    for (const char* check : {"wrap", "unwrap"}) {
      EXPECT_THAT(rows[check].remedy(), ::testing::HasSubstr("az role assignment create"));
      EXPECT_THAT(rows[check].remedy(),
                  ::testing::HasSubstr("az keyvault set-policy --name contoso-kv --spn "
                                       "CLIENT_ID_OF_THIS_SERVER --key-permissions get wrapKey "
                                       "unwrapKey"));
    }
  }
}

TEST_F(KeyChecksTest, RemediesNameThePinnedVersion) {
  key_.version = "0123abcd";
  vault_.edit = [this](vault::KeyDescription& key) {
    key.operations = {"sign"};
    key.enabled = false;
    key.expires = clock_.WallNow() - absl::Hours(1);
  };
  auto rows = Run();
  for (const char* check : {"key_ops", "enabled", "validity"}) {
    EXPECT_THAT(rows[check].remedy(),
                ::testing::HasSubstr("--vault-name contoso-kv --name hub-key --version 0123abcd"));
  }
  vault_.describe = Refusal("KeyNotFound");
  EXPECT_THAT(Run()["get"].remedy(), ::testing::HasSubstr("az keyvault key list-versions"));
}

TEST_F(KeyChecksTest, AManagedHsmHasCommandsOfItsOwn) {
  key_.vault_uri = "https://contoso.managedhsm.azure.net";
  vault_.edit = [](vault::KeyDescription& key) {
    key.type = "EC";
    key.operations = {"sign"};
    key.soft_delete = key.purge_protection = false;
  };
  auto rows = Run();
  const std::pair<const char*, const char*> kAdvice[] = {
      {"key_type", "--hsm-name contoso --name hub-key --kty RSA-HSM --size 3072"},
      {"key_type", "--kty oct-HSM --size 256"},
      {"key_ops", "set-attributes --hsm-name contoso --name hub-key --ops"},
      {"soft_delete", "az keyvault create --hsm-name"},
      {"purge_protection", "az keyvault update-hsm --hsm-name contoso --enable-purge-protection"}};
  for (const auto& [check, advice] : kAdvice) {
    EXPECT_THAT(rows[check].remedy(), ::testing::HasSubstr(advice));
  }
  vault_.wrap = Refusal("ForbiddenByFirewall");
  EXPECT_THAT(Run()["wrap"].remedy(), ::testing::HasSubstr("az keyvault update-hsm --hsm-name"));
  vault_.wrap = Refusal("Forbidden");
  EXPECT_THAT(Run()["wrap"].remedy(), ::testing::HasSubstr(
      "az keyvault role assignment create --hsm-name contoso --role 'Managed HSM Crypto Service "
      "Encryption User' --scope /keys/hub-key"));
}

TEST_F(KeyChecksTest, ABadAddressIsTheRequestsFaultAndCallsNobody) {
  key_.vault_uri = "https://contoso.example";
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "address");
  EXPECT_THAT(Require(), FailsWith("FIELD_INVALID", "vault_uri"));
  EXPECT_EQ(vault_.describes, 0);
}

TEST_F(KeyChecksTest, WhatIsWrongWithAnAddressIsSaidAndMended) {
  const std::pair<vault::KeyRef, std::pair<const char*, const char*>> kFaults[] = {
      {{"https://contoso-kv.vault.azure.net:443", "k", "", ""}, {"has a port", "vault URI"}},
      {{"https://contoso-kv.vault.azure.net/", "k", "", ""}, {"has a path", "vault URI"}},
      {{"https://Contoso.vault.azure.net", "k", "", ""}, {"upper-case", "vault URI"}},
      {{"https://contoso.example", "k", "", ""}, {"under no domain", "vault URI"}},
      {{"https://contoso-kv.vault.azure.net", "hub_key", "", ""}, {"has a '_'", "name"}},
      {{"https://contoso-kv.vault.azure.net", "k", "1/2", ""}, {"has a '/'", "version"}}};
  for (const auto& [key, expected] : kFaults) {
    key_ = key;
    EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "address");
    EXPECT_THAT(Run()["address"].found(), ::testing::HasSubstr(expected.first));
    EXPECT_THAT(Run()["address"].remedy(), ::testing::HasSubstr(expected.second));
  }
}

TEST_F(KeyChecksTest, AnIdentityThatTheServerHasNotIsTheRequestsFaultAndCallsNobody) {
  key_.identity = "retail";
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "token");
  EXPECT_THAT(Run()["token"].remedy(), ::testing::HasSubstr("name an identity"));
  EXPECT_FALSE(response_.passed());
  EXPECT_THAT(Require(), FailsWith("FIELD_INVALID", "identity"));
  EXPECT_EQ(vault_.describes, 0) << "a login that must fail would page us";
}

TEST_F(KeyChecksTest, WhatIsNotSaidAndWhatEndsSoonAreWarnings) {
  vault_.edit = [this](vault::KeyDescription& key) {
    key.recoverable_days = 0;
    key.expires = clock_.WallNow() + absl::Hours(24);
  };
  EXPECT_EQ(Rows(v1::KeyCheck::WARNING), "validity recoverable_days");
  EXPECT_TRUE(response_.passed());
  EXPECT_THAT(Require(), IsOk());
}

TEST_F(KeyChecksTest, KeySizesOfTheTableOnlyAndOctKeysPass) {
  for (const uint32_t bits : {1024u, 2048u, 2056u, 3072u, 4096u, 8192u}) {
    vault_.edit = [bits](vault::KeyDescription& key) { key.size_bits = bits; };
    const bool good = bits == 2048 || bits == 3072 || bits == 4096;
    EXPECT_EQ(Rows(v1::KeyCheck::FAILED), good ? "" : "key_type") << bits;
  }
  vault_.edit = [](vault::KeyDescription& key) { key.type = "oct-HSM"; };
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "");
}

}  // namespace
}  // namespace cmkstore::service
