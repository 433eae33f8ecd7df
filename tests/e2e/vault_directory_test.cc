// A tenant may name vaults of its own directory, and those that the operator shares with it.

#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kOtherDirectory[] = "99999999-2222-4333-8444-555555555555";

class VaultDirectoryTest : public ServedHub {
 protected:
  // The fixture's vault anew, as one of another directory.
  VaultDirectoryTest() {
    dev_vault::DevVaultOptions options;
    options.tenant_id = kOtherDirectory;
    StartVault(options);
    StartServer();
  }
  void Adjust(service::ServerOptions& options) override {
    options.shared_vault_directories = shared_;
  }
  v1::CheckKeyResponse CheckKey() {
    v1::CheckKeyRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.mutable_key()->set_vault_uri(vault_->endpoints().url);
    request.mutable_key()->set_key_name("k1");
    v1::CheckKeyResponse response;
    EXPECT_EQ(ReasonOf(keys_->CheckKey(As("owner").get(), request, &response)), "OK");
    return response;
  }

  std::map<std::string, std::set<std::string>> shared_;
};

TEST_F(VaultDirectoryTest, AnotherTenantsVaultIsRefusedAndNeverSeesOurToken) {
  const json before = owner_->Admin("GET", "stats");
  const grpc::Status refused = CreateHub();
  EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
  EXPECT_THAT(refused.error_message(), HasSubstr(kOtherDirectory));
  const v1::CheckKeyResponse checked = CheckKey();
  EXPECT_FALSE(checked.passed());
  for (const v1::KeyCheck& row : checked.checks()) {
    EXPECT_EQ(row.result() == v1::KeyCheck::FAILED, row.check() == "directory") << row.check();
  }
  const json after = owner_->Admin("GET", "stats");
  for (const char* operation : {"token", "wrapkey", "unwrapkey"}) {
    EXPECT_EQ(after.value(operation, 0), before.value(operation, 0)) << operation;
  }
  EXPECT_THAT(*ReadFile(dir_.path() + "/log.jsonl"), HasSubstr("vault_of_another_directory"));
}

TEST_F(VaultDirectoryTest, OneThatTheOperatorSharesServes) {
  shared_[kOtherDirectory] = {kTenant};
  StartServer();
  EXPECT_TRUE(CheckKey().passed());
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  // What a hub is under stays its key: the operator's word is asked for a new one.
  shared_.clear();
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
}

// One identity of the server for customers in directories of their own: it logs in at the directory
// that the vault is of, by each proof that an application has.
class VaultOfItsOwnDirectoryTest : public VaultDirectoryTest,
                                   public ::testing::WithParamInterface<const char*> {
 protected:
  using Kind = vault::IdentityOptions::Kind;

  void Adjust(service::ServerOptions& options) override {
    vault::IdentityOptions& identity = options.identities[0].second;
    const dev_vault::DevVaultEndpoints& at = vault_->endpoints();
    if (GetParam() == std::string("certificate")) {
      identity.kind = Kind::kClientCertificate;
      identity.certificate_file = at.certificate_file;
    } else if (GetParam() == std::string("federated_token")) {
      identity.kind = Kind::kWorkloadIdentity;
      identity.token_file = at.federated_token_file;
    }
  }
  void Consent(const json& directories) {
    owner_->Admin("PUT", "identities/" + vault_->endpoints().client_id,
                  {{"directories", directories}});
  }
};

TEST_P(VaultOfItsOwnDirectoryTest, IsServedOnceItsDirectoryHasConsented) {
  dev_vault::DevVaultOptions options;
  options.tenant_id = kOtherDirectory;  // of our application
  options.client_certificate = true;
  StartVault(options);
  StartServer();
  owner_->SetVault(vault_->endpoints().url, {{"directory", kTenant}});
  std::string remedy;
  const v1::CheckKeyResponse refused = CheckKey();
  for (const v1::KeyCheck& row : refused.checks()) {
    EXPECT_EQ(row.result() == v1::KeyCheck::FAILED, row.check() == "token") << row.check();
    if (row.check() == "token") remedy = row.remedy();
  }
  EXPECT_THAT(remedy, HasSubstr("az ad sp create"));

  Consent({kTenant});
  absl::SleepFor(absl::Seconds(1));  // a login that failed is not tried again at once
  EXPECT_TRUE(CheckKey().passed());
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "OK") << "a hub remembers the directory of its vault";
}

INSTANTIATE_TEST_SUITE_P(Logins, VaultOfItsOwnDirectoryTest,
                         ::testing::Values("secret", "certificate", "federated_token"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cmkstore
