// What a tenant is told to run: the command that mends what was found.

#include "tests/service/key_checks_fixture.h"

namespace cmkstore::service {
namespace {

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

TEST_F(KeyChecksTest, RemediesNameTheClientIdUnderWhichThisServerLogsInWhereItKnowsIt) {
  key_.identity = "known";
  vault_.wrap = vault_.unwrap = Refusal("AccessDenied");
  const std::string remedy = Run()["wrap"].remedy();
  EXPECT_THAT(remedy, ::testing::HasSubstr("--assignee 11111111-2222-3333-4444-555555555555"));
  EXPECT_THAT(remedy, ::testing::HasSubstr("--spn 11111111-2222-3333-4444-555555555555"));
  EXPECT_THAT(remedy, ::testing::Not(::testing::HasSubstr("CLIENT_ID")));
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
  EXPECT_THAT(Run()["wrap"].remedy(),
              ::testing::HasSubstr("az keyvault role assignment create --hsm-name contoso --role "
                                   "'Managed HSM Crypto Service "
                                   "Encryption User' --scope /keys/hub-key"));
}

}  // namespace
}  // namespace cmkstore::service
