#include "service/grpc_status.h"
#include "tests/service/key_checks_fixture.h"

namespace cmkstore::service {
namespace {

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

// gRPC's clients take 8 KiB of metadata, in which message and details travel; details as base64.
TEST_F(KeyChecksTest, WhatEveryCheckFoundFitsIntoAnAnswer) {
  key_.vault_uri = absl::StrCat("https://", std::string(24, 'v'), ".vault.azure.net");
  key_.key_name = std::string(127, 'k');
  key_.version = std::string(32, '0');
  vault_.edit = [this](vault::KeyDescription& key) {
    key.type = key.recovery_level = std::string(64, '"');
    key.operations = std::vector<std::string>(16, std::string(32, '"'));
    key.enabled = false;
    key.expires = clock_.WallNow() - absl::Hours(1);
    key.soft_delete = key.purge_protection = false;
    key.recoverable_days = 3;
  };
  vault_.wrap = vault_.unwrap = Refusal("ForbiddenByPolicy");
  const absl::Status refused = Require();
  EXPECT_EQ(ViolationsOf(refused).size(), 9u);
  for (const Violation& violation : ViolationsOf(refused)) {
    EXPECT_THAT(violation.description, ::testing::HasSubstr("found: "));
    EXPECT_THAT(violation.description, ::testing::HasSubstr("needed: "));
    EXPECT_THAT(violation.description, ::testing::HasSubstr("run: "));
  }
  const grpc::Status answer = ToGrpcStatus(refused, std::string(36, 'r'));
  EXPECT_LT(answer.error_message().size() + answer.error_details().size() * 4 / 3, 7500u);
}

TEST_F(KeyChecksTest, AVaultOfAnotherDirectoryIsNotCalledWithOurToken) {
  tenant_ = "99999999-2222-4333-8444-555555555555";
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "directory");
  EXPECT_EQ(Rows(v1::KeyCheck::PASSED), "address");
  EXPECT_TRUE(absl::StrContains(Run()["directory"].remedy(), "vaults.shared_directories"));
  EXPECT_THAT(Require(), FailsWith("FIELD_INVALID", kTenant));
  EXPECT_EQ(vault_.describes, 0);
}

TEST_F(KeyChecksTest, AVaultIsCalledWithATokenOfTheDirectoryThatItIsOf) {
  Run();
  EXPECT_EQ(vault_.last.directory, kTenant);
  EXPECT_EQ(*checks_.Require(tenant_, key_, clock_.WallNow() + absl::Seconds(30)), kTenant);
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

TEST_F(KeyChecksTest, EachVersionThatWrapsAStoredKeyIsTried) {
  for (int i = 0; i < 2; ++i) {
    stored_.push_back(*vault_.fake.Wrap(key_, random_.Secret(32), absl::InfiniteFuture()));
    vault_.fake.AddVersion("hub-key");
  }
  EXPECT_EQ(Run()["stored_keys"].result(), v1::KeyCheck::PASSED);
  EXPECT_TRUE(response_.passed());
  vault_.fake.BreakVersion(stored_[1].version_id, Refusal("KeyDisabled"));
  const v1::KeyCheck failed = Run()["stored_keys"];
  EXPECT_EQ(failed.result(), v1::KeyCheck::FAILED);
  EXPECT_FALSE(response_.passed());
  const std::string version = stored_[1].version_id.substr(stored_[1].version_id.rfind('/') + 1);
  EXPECT_THAT(failed.found(), ::testing::HasSubstr("version " + version));
  EXPECT_THAT(failed.remedy(), ::testing::HasSubstr("--version " + version + " --enabled true"));
  vault_.describe = Outage("timeout");  // nothing was heard of them then
  EXPECT_EQ(Run()["stored_keys"].result(), v1::KeyCheck::SKIPPED);
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
      {VaultThrottled(absl::Seconds(1)), " reachable tls", "get", "asked too often"},
      {Outage("unknown"), " reachable tls", "get", "not a key vault"},
      {Outage("too_large"), " reachable tls", "get", "not a key vault"},
      {Outage("transport"), " reachable tls", "get", "not a key vault"},
      {refused("login"), " reachable tls", "token", "its log says why"},
      {refused("no_consent"), " reachable tls", "token", "az ad sp create"},
      {refused("token_refused"), " reachable tls", "token", "az ad sp create"},
      {Refusal("KeyNotFound"), " reachable tls token", "get", "az keyvault key create"},
      {Refusal("ForbiddenByRbac"), " reachable tls token", "get", "az role assignment"},
      {Refusal("ForbiddenByFirewall"), " reachable tls token", "get", "network-rule add"},
      {Refusal("ForbiddenByConnection"), " reachable tls token", "get", "private endpoint"}};
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

TEST_F(KeyChecksTest, WhatUnwrapsAnythingIsNoKeyVaultAndNoRoleMendsIt) {
  vault_.unwraps_anything = true;
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "unwrap");
  EXPECT_THAT(Run()["unwrap"].found(), ::testing::HasSubstr("another key than was wrapped"));
  EXPECT_THAT(Run()["unwrap"].remedy(), ::testing::HasSubstr("not a key vault"));
  EXPECT_THAT(Require(), FailsWith("CUSTOMER_KEY_UNFIT", "another key"));
  vault_.describe = Refusal("AccessDenied");
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get unwrap");
  EXPECT_THAT(Run()["unwrap"].found(), ::testing::HasSubstr("what nobody has wrapped"));
  EXPECT_THAT(Run()["unwrap"].remedy(), ::testing::HasSubstr("not a key vault"));
  EXPECT_THAT(Require(), FailsWith("CUSTOMER_KEY_UNFIT", "nobody has wrapped"));
}

TEST_F(KeyChecksTest, AFirewallThatRefusesTheFirstCallIsNamed) {
  transport_.answer =
      HttpResponse{403,
                   {{"Content-Type", "application/json"}},
                   R"({"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByFirewall"}}})"};
  EXPECT_EQ(Rows(v1::KeyCheck::FAILED), "get");
  EXPECT_THAT(Run()["get"].found(), ::testing::HasSubstr("ForbiddenByFirewall"));
  EXPECT_THAT(Run()["get"].remedy(), ::testing::HasSubstr("network-rule add"));
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
