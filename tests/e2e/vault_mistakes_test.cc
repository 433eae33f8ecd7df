// Mistakes with the tenant's vault, made and mended: what the tenant sees, and that nothing is
// lost. The rules of the cache run at a faster pace than in production (served_hub.h); the seconds
// that production takes are measured by tests/reliability/revocation_rounds.cc.

#include <nlohmann/json.hpp>

#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

constexpr int kEndless = 1'000'000;

class VaultMistakesTest : public ServedHub {
 protected:
  void SetUpDocument() {
    SetUpHub();
    ASSERT_EQ(ReasonOf(Put("d1", R"({"kept": true})")), "OK");
  }
  void ExpectNothingIsLost() {
    v1::Document found;
    ASSERT_EQ(ReasonOf(Get("d1", &found)), "OK");
    EXPECT_EQ(found.content(), R"({"kept": true})");
    EXPECT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  }
  std::string Cause() { return KeyStatus().cause(); }
  void Adjust(service::ServerOptions& options) override {
    options.key_checks.retry_for = absl::ZeroDuration();
    if (hurry_) options.keys.vault_call_timeout = absl::Milliseconds(700);
    if (!client_id_.empty()) {
      options.identities[0].second.client_id = client_id_;
      options.identities[0].second.secret_file = secret_file_;
    }
    if (second_client_.empty()) return;
    options.identities.emplace_back("second", testing::DevVaultIdentity(vault_->endpoints()));
    options.identities[1].second.client_id = second_client_;
    options.identities[1].second.secret_file = secret_file_of_second_;
  }
  // What the vault's owner sets: "access", "denied", "firewall".
  void SetVault(const nlohmann::json& settings) {
    owner_->SetVault(vault_->endpoints().url, settings);
  }
  // What the vault answers from now on, without end; an empty list ends it.
  void Script(const nlohmann::json& faults) { owner_->Script(faults); }
  // The vault answers 503 from now on, and the cache knows it.
  void BeginOutage() {
    Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", kEndless}}});
    AwaitAvailability(v1::KeyStatus::UNREACHABLE);
  }
  void AwaitAvailability(v1::KeyStatus::Availability availability) {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (KeyStatus().availability() != availability && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    ASSERT_EQ(KeyStatus().availability(), availability) << Cause();
  }
  grpc::Status Update(v1::Hub wanted, const std::string& field) {
    v1::UpdateHubRequest request;
    wanted.set_name(kHub);
    *request.mutable_hub() = std::move(wanted);
    request.mutable_update_mask()->add_paths(field);
    v1::Hub hub;
    return hubs_->UpdateHub(As("owner").get(), request, &hub);
  }
  grpc::Status SetGrace(int seconds) {
    v1::Hub wanted;
    wanted.mutable_outage_grace()->set_seconds(seconds);
    return Update(std::move(wanted), "outage_grace");
  }
  grpc::Status Pin(const std::string& version) {
    v1::Hub wanted;
    auto& key = *wanted.mutable_encryption()->mutable_customer_managed();
    key.set_vault_uri(vault_->endpoints().url);
    key.set_key_name("k1");
    key.set_key_version(version);
    return Update(std::move(wanted), "encryption.customer_managed.key_version");
  }
  v1::CheckKeyResponse Check(const std::string& version = "") {
    v1::CheckKeyRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.mutable_key()->set_vault_uri(vault_->endpoints().url);
    request.mutable_key()->set_key_name("k1");
    request.mutable_key()->set_key_version(version);
    v1::CheckKeyResponse response;
    const grpc::Status status = keys_->CheckKey(As("key_admin").get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  bool hurry_ = false;                   // little time for each call to a vault
  std::string client_id_, secret_file_;  // of the server's identity, if not the first
  std::string second_client_, secret_file_of_second_;
  static std::string Failed(const v1::CheckKeyResponse& response) {
    std::string names;
    for (const v1::KeyCheck& check : response.checks()) {
      if (check.result() == v1::KeyCheck::FAILED) absl::StrAppend(&names, check.check(), " ");
    }
    return names;
  }
};

TEST_F(VaultMistakesTest, AKeyThatWasDeletedComesBackRecovered) {
  SetUpDocument();
  owner_->Key("DELETE", "/keys/k1", nlohmann::json::object());
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_NE(Cause().find("does not exist in the vault, or is deleted"), std::string::npos);
  owner_->Key("POST", "/deletedkeys/k1/recover", nlohmann::json::object());
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, APurgeIsRefusedByProtectionAndNothingIsLost) {
  SetUpDocument();
  owner_->Key("DELETE", "/keys/k1", nlohmann::json::object());
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(owner_->Key("DELETE", "/deletedkeys/k1", nlohmann::json::object()).status, 403)
      << "a purge would lose the hub for ever";
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "CUSTOMER_KEY_REVOKED") << "a restart forgets no refusal";
  owner_->Key("POST", "/deletedkeys/k1/recover", nlohmann::json::object());
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, APermissionThatWasRemovedAndGivenBackIsNoticed) {
  SetUpDocument();
  SetVault({{"denied", {"unwrapKey"}}});
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_NE(Cause().find("ForbiddenByPolicy"), std::string::npos) << Cause();
  SetVault({{"denied", nlohmann::json::array()}});
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, AFirewallThatClosesIsNamedAndItsOpeningHeals) {
  SetUpDocument();
  SetVault({{"firewall", {{"default_action", "deny"}, {"ip_rules", {"10.0.0.0/8"}}}}});
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_NE(Cause().find("network rules refuse this service (ForbiddenByFirewall)"),
            std::string::npos)
      << Cause();
  SetVault({{"firewall", {{"default_action", "allow"}}}});
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, AnIdentityThatWasReplacedServesOnceTheVaultLetsItIn) {
  SetUpDocument();
  client_id_ = "replacement";
  secret_file_ = dir_.path() + "/replacement.secret";
  ASSERT_TRUE(WriteFileDurably(secret_file_, "of-the-replacement"));
  owner_->Admin("PUT", "identities/replacement", {{"secret", "of-the-replacement"}});
  StartServer();
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(Failed(Check()), "get unwrap ");
  SetVault({{"access", {{"replacement", {"get", "wrapKey", "unwrapKey"}}}}});
  EXPECT_EQ(Failed(Check()), "");
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, EachHubIsReachedAsTheIdentityThatItNames) {
  SetUpDocument();
  second_client_ = "of-another-tenant";
  secret_file_of_second_ = dir_.path() + "/second.secret";
  ASSERT_TRUE(WriteFileDurably(secret_file_of_second_, "of-the-second"));
  owner_->Admin("PUT", "identities/of-another-tenant", {{"secret", "of-the-second"}});
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "OK") << "as the default one";
  v1::Hub wanted;
  auto& key = *wanted.mutable_encryption()->mutable_customer_managed();
  key.set_identity("second");
  EXPECT_EQ(ReasonOf(Update(wanted, "encryption.customer_managed.identity")), "CUSTOMER_KEY_UNFIT")
      << "the vault has not let it in";
  ExpectNothingIsLost();
  // Now the vault lets in the second one, and the default one no more.
  SetVault({{"access",
             {{vault_->endpoints().client_id, nlohmann::json::array()},
              {second_client_, {"get", "wrapKey", "unwrapKey"}}}}});
  AwaitReason("CUSTOMER_KEY_REVOKED");
  ASSERT_EQ(ReasonOf(Update(wanted, "encryption.customer_managed.identity")), "OK");
  EXPECT_EQ(ReasonOf(Get("d1")), "OK") << "at once";
  StartServer();
  ExpectNothingIsLost();
  key.set_identity("nobody");
  EXPECT_EQ(ReasonOf(Update(wanted, "encryption.customer_managed.identity")), "FIELD_INVALID");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, AnExpiredKeyServesWhatIsThereAndWrapsNothingNew) {
  SetUpDocument();
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  owner_->Key("PATCH", "/keys/k1", {{"attributes", {{"exp", now - 60}}}});
  StartServer();
  ExpectNothingIsLost();
  EXPECT_EQ(Failed(Check()), "validity wrap ");
  v1::RotateDekRequest rotate;
  rotate.set_name(kHub);
  google::longrunning::Operation operation;
  EXPECT_EQ(ReasonOf(keys_->RotateDek(As("key_admin").get(), rotate, &operation)), "OK");
  owner_->Key("PATCH", "/keys/k1", {{"attributes", {{"exp", now + 3600 * 24 * 90}}}});
  EXPECT_EQ(Failed(Check()), "");
}

TEST_F(VaultMistakesTest, AWrongVersionIsRefusedWhereItIsPinnedAndTheHubGoesOn) {
  SetUpDocument();
  EXPECT_EQ(ReasonOf(Pin("00000000000000000000000000000000")), "CUSTOMER_KEY_UNFIT");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, APinnedVersionThatIsDisabledDarkensTheHubUntilItIsEnabled) {
  SetUpDocument();
  const auto made =
      nlohmann::json::parse(owner_->Key("POST", "/keys/k1/rotate", nlohmann::json::object()).body);
  const std::string id = made["key"]["kid"];
  const std::string version = id.substr(id.rfind('/') + 1);
  ASSERT_EQ(ReasonOf(Pin(version)), "OK");
  ExpectNothingIsLost();
  const std::string path = "/keys/k1/" + version;
  owner_->Key("PATCH", path, {{"attributes", {{"enabled", false}}}});
  AwaitReason("CUSTOMER_KEY_REVOKED");
  owner_->Key("PATCH", path, {{"attributes", {{"enabled", true}}}});
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, AWrongVersionIsRefusedBeforeAnythingIsMade) {
  EXPECT_EQ(Failed(Check("00000000000000000000000000000000")), "get ");
  EXPECT_EQ(Failed(Check()), "");
}

TEST_F(VaultMistakesTest, AVaultThatHangsGetsItsCheckListAndTheStepIsNamed) {
  hurry_ = true;
  StartServer();
  const std::pair<const char*, const char*> kSteps[] = {
      {"get", "get "}, {"wrapkey", "wrap "}, {"unwrapkey", "unwrap "}};
  for (const auto& [operation, checks] : kSteps) {
    Script({{{"operation", operation}, {"kind", "hang"}, {"count", kEndless}}});
    const v1::CheckKeyResponse response = Check();
    EXPECT_EQ(Failed(response), checks);
    for (const v1::KeyCheck& check : response.checks()) {
      if (check.result() != v1::KeyCheck::FAILED) continue;
      EXPECT_NE(check.found().find("did not answer within"), std::string::npos) << check.found();
    }
  }
}

TEST_F(VaultMistakesTest, AVaultTooSlowForDocumentsFailsTheCheck) {
  hurry_ = true;
  StartServer();
  Script({{{"operation", "unwrapkey"}, {"delay_ms", 1000}, {"count", kEndless}}});
  EXPECT_EQ(Failed(Check()), "unwrap ");
  Script({{{"operation", "unwrapkey"}, {"delay_ms", 100}, {"count", kEndless}}});
  EXPECT_EQ(Failed(Check()), "");
}

TEST_F(VaultMistakesTest, A404WhoseSecondLookFailsAndAProxysPageLockNobody) {
  SetUpDocument();
  const nlohmann::json not_found = {
      {"operation", "unwrapkey"}, {"status", 404}, {"code", "KeyNotFound"}, {"count", kEndless}};
  Script({not_found, {{"operation", "get"}, {"status", 503}, {"count", kEndless}}});
  AwaitAvailability(v1::KeyStatus::UNREACHABLE);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK") << "within the grace";
  Script(nlohmann::json::array());
  AwaitAvailability(v1::KeyStatus::AVAILABLE);
  Script({{{"operation", "unwrapkey"},
           {"status", 404},
           {"content_type", "text/html"},
           {"body", "<html>no such page</html>"},
           {"count", kEndless}}});
  AwaitAvailability(v1::KeyStatus::UNREACHABLE);
  ExpectNothingIsLost();
  EXPECT_FALSE(KeyStatus().has_last_receipt()) << "no lock";
}

TEST_F(VaultMistakesTest, AnUnfitKeyIsRefusedWithEveryFailedCheckAsAViolation) {
  owner_->Key("PATCH", "/keys/k1",
              {{"key_ops", {"wrapKey"}}, {"attributes", {{"enabled", false}}}});
  const grpc::Status refused = CreateHub();
  EXPECT_EQ(ReasonOf(refused), "CUSTOMER_KEY_UNFIT");
  google::rpc::Status wire;
  ASSERT_TRUE(wire.ParseFromString(refused.error_details()));
  std::string subjects;
  for (const auto& detail : wire.details()) {
    google::rpc::PreconditionFailure failure;
    if (!detail.UnpackTo(&failure)) continue;
    for (const auto& one : failure.violations()) absl::StrAppend(&subjects, one.subject(), " ");
  }
  EXPECT_EQ(subjects, "key_ops enabled unwrap ");
}

TEST_F(VaultMistakesTest, ABrokenIdentityOfOursLocksNobodyAndHealsByItself) {
  SetUpDocument();
  const std::string file = vault_->endpoints().secret_file;
  const std::string good = *ReadFile(file);
  ASSERT_TRUE(WriteFileDurably(file, "wrong"));
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "VAULT_LOGIN_FAILED");
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
  EXPECT_EQ(hub.state(), v1::Hub::ACTIVE);
  const v1::KeyStatus status = KeyStatus();
  EXPECT_EQ(status.availability(), v1::KeyStatus::UNREACHABLE);
  EXPECT_EQ(status.outage().cause(), "login");
  EXPECT_EQ(status.outage().side(), v1::VaultOutage::OUR_LOGIN);
  EXPECT_FALSE(status.has_last_receipt());
  ASSERT_TRUE(WriteFileDurably(file, good));
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, ABrokenIdentityOfOursIsNamedPastTheGraceOfAWarmHubToo) {
  SetUpDocument();
  ASSERT_EQ(ReasonOf(SetGrace(0)), "OK");
  const std::string file = vault_->endpoints().secret_file;
  const std::string good = *ReadFile(file);
  ASSERT_TRUE(WriteFileDurably(file, "wrong"));
  owner_->Admin("PUT", "tokens", {{"revoke_all", true}});
  AwaitReason("VAULT_LOGIN_FAILED");
  ASSERT_TRUE(WriteFileDurably(file, good));
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, AnOutageIsServedThroughAndAttributedAndARestartInItFailsClosed) {
  SetUpDocument();
  BeginOutage();
  EXPECT_EQ(KeyStatus().outage().cause(), "http_5xx");
  EXPECT_EQ(KeyStatus().outage().side(), v1::VaultOutage::THIS_VAULT)
      << "it answers, so our network works";
  EXPECT_EQ(ReasonOf(Get("d1")), "OK") << "within the grace";
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "VAULT_UNREACHABLE") << "a server that never had the key";
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  EXPECT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
  EXPECT_EQ(hub.state(), v1::Hub::ACTIVE) << "an outage is nobody's decision";
  Script(nlohmann::json::array());
  AwaitReason("OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, AHubThatIsRenamedDuringAnOutageIsServedOn) {
  SetUpDocument();
  BeginOutage();
  v1::Hub wanted;
  wanted.set_display_name("renamed");
  ASSERT_EQ(ReasonOf(Update(wanted, "display_name")), "OK");
  ExpectNothingIsLost();
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
  EXPECT_EQ(hub.display_name(), "renamed");
  ASSERT_EQ(ReasonOf(SetGrace(0)), "OK");
  EXPECT_EQ(ReasonOf(Get("d1")), "VAULT_UNREACHABLE") << "a shorter grace is in force at once";
  ASSERT_EQ(ReasonOf(SetGrace(3600)), "OK");
  ExpectNothingIsLost();
}

TEST_F(VaultMistakesTest, TheCountedCallsOfATenantAreToldByVault) {
  SetUpDocument();
  v1::GetVaultUsageRequest request;
  request.set_parent(absl::StrCat("tenants/", kTenant));
  v1::GetVaultUsageResponse usage;
  ASSERT_TRUE(keys_->GetVaultUsage(As("reader").get(), request, &usage).ok());
  ASSERT_EQ(usage.vaults_size(), 1);
  const v1::VaultUsage& one = usage.vaults(0);
  EXPECT_EQ(one.vault_uri(), vault_->endpoints().url);
  EXPECT_EQ(one.hubs(), 1u);
  EXPECT_EQ(one.keys(), 1u);
  EXPECT_GE(one.wraps(), 2u) << "the check's and the new DEK's";
  EXPECT_GE(one.unwraps(), 2u);
  EXPECT_EQ(one.calls_per_second_limit(), 100);
}

}  // namespace
}  // namespace cmkstore
