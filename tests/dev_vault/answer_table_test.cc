// The answers of Azure Key Vault, row by row, as they come over the wire.

#include "tests/dev_vault/dev_vault_fixture.h"

namespace cmkstore::dev_vault {
namespace {

using ::testing::HasSubstr;

class AnswerTableTest : public DevVaultTest {
 protected:
  void ExpectForbidden(const Reply& reply, const std::string& inner) {
    EXPECT_EQ(reply.status, 403) << reply.text;
    EXPECT_EQ(reply.Error("code"), "Forbidden");
    EXPECT_EQ(reply.Inner(), inner);
  }
};

TEST_F(AnswerTableTest, WrapAndUnwrapGiveTheBytesBackAndNameTheVersion) {
  const std::string version = Create("k1");
  const Reply wrapped = Operate("/keys/k1/wrapkey", kDek);
  ASSERT_EQ(wrapped.status, 200) << wrapped.text;
  EXPECT_EQ(wrapped.body["kid"], url_ + version) << "a wrap by the latest names the version";
  const Reply opened = Operate(version + "/unwrapkey", wrapped.body["value"]);
  ASSERT_EQ(opened.status, 200) << opened.text;
  EXPECT_EQ(opened.body["value"], kDek);
}

TEST_F(AnswerTableTest, ADisabledKeyRefusesUnwrapWithKeyDisabled) {
  const std::string version = Create("k1");
  const std::string wrapped = Wrapped(version);
  Patch("/keys/k1", {{"enabled", false}});
  ExpectForbidden(Operate(version + "/unwrapkey", wrapped), "KeyDisabled");
  ExpectForbidden(Operate(version + "/decrypt", wrapped), "KeyDisabled");
  Patch("/keys/k1", {{"enabled", true}});
  EXPECT_EQ(Operate(version + "/unwrapkey", wrapped).status, 200);
}

TEST_F(AnswerTableTest, ADisabledKeyStillWrapsAndIsShownAsDisabled) {
  const std::string version = Create("k1");
  Patch("/keys/k1", {{"enabled", false}});
  EXPECT_EQ(Operate(version + "/wrapkey", kDek).status, 200);
  const Reply shown = Key("GET", version);
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.body["attributes"]["enabled"], false);
}

TEST_F(AnswerTableTest, AnExpiredKeyUnwrapsAndDoesNotWrap) {
  const std::string version = Create("k1");
  const std::string wrapped = Wrapped(version);
  const int64_t now = Admin("GET", "clock").body["unix"];
  Patch("/keys/k1", {{"exp", now + 100}});
  EXPECT_EQ(Operate(version + "/wrapkey", kDek).status, 200) << "not yet expired";
  Admin("PUT", "clock", {{"advance_seconds", 100}});
  EXPECT_EQ(Operate(version + "/unwrapkey", wrapped).status, 200);
  ExpectForbidden(Operate(version + "/wrapkey", kDek), "KeyNotYetValidOrExpired");
}

TEST_F(AnswerTableTest, AKeyBeforeItsTimeUnwrapsAndDoesNotWrap) {
  const std::string version = Create("k1");
  const std::string wrapped = Wrapped(version);
  const int64_t now = Admin("GET", "clock").body["unix"];
  Patch("/keys/k1", {{"nbf", now + 1000}});
  EXPECT_EQ(Operate(version + "/unwrapkey", wrapped).status, 200);
  ExpectForbidden(Operate(version + "/wrapkey", kDek), "KeyNotYetValidOrExpired");
  Admin("PUT", "clock", {{"advance_seconds", 1000}});
  EXPECT_EQ(Operate(version + "/wrapkey", kDek).status, 200);
}

TEST_F(AnswerTableTest, AnOperationThatIsNotInKeyOpsIsForbidden) {
  const std::string version = Create("k1", {{"key_ops", {"wrapKey"}}});
  const std::string wrapped = Wrapped(version);
  ExpectForbidden(Operate(version + "/unwrapkey", wrapped), "KeyOperationForbidden");
}

TEST_F(AnswerTableTest, AMissingPermissionIsForbiddenInTheWordsOfEachKindOfVault) {
  const std::string version = Create("k1");
  const std::string wrapped = Wrapped(version);
  for (const std::string code : {"ForbiddenByPolicy", "AccessDenied", "ForbiddenByRbac"}) {
    SetVault({{"denial_code", code}, {"access", {{"cmkstore-dev", {"get", "wrapKey"}}}}});
    ExpectForbidden(Operate(version + "/unwrapkey", wrapped), code);
    EXPECT_EQ(Operate(version + "/wrapkey", kDek).status, 200);
    EXPECT_EQ(Key("GET", version).status, 200);
  }
  SetVault({{"access", {{"cmkstore-dev", nullptr}}}});
  EXPECT_EQ(Operate(version + "/unwrapkey", wrapped).status, 200);
  EXPECT_EQ(Admin("POST", "permissions", {{"denied", {"unwrapKey"}}}).status, 200);
  ExpectForbidden(Operate(version + "/unwrapkey", wrapped), "ForbiddenByRbac");
}

TEST_F(AnswerTableTest, TheFirewallRefusesByAddressOrByConnection) {
  const std::string version = Create("k1");
  SetVault({{"firewall", {{"default_action", "deny"}, {"ip_rules", {"10.0.0.0/8"}}}}});
  const Reply by_address = Key("GET", version);
  ExpectForbidden(by_address, "ForbiddenByFirewall");
  EXPECT_THAT(by_address.Error("message"), HasSubstr("Client address: 127.0.0.1"));
  SetVault({{"firewall", {{"code", "ForbiddenByConnection"}}}});
  ExpectForbidden(Key("GET", version), "ForbiddenByConnection");
  SetVault({{"firewall", {{"ip_rules", {"127.0.0.0/24"}}}}});
  EXPECT_EQ(Key("GET", version).status, 200);
}

TEST_F(AnswerTableTest, ADeletedKeyIsNotFoundAndSoIsOneThatNeverWas) {
  const std::string version = Create("k1");
  const std::string wrapped = Wrapped(version);
  EXPECT_EQ(Key("DELETE", "/keys/k1").status, 200);
  for (const Reply& reply :
       {Key("GET", version), Operate(version + "/unwrapkey", wrapped),
        Operate(version + "/wrapkey", kDek), Key("GET", "/keys/never"),
        Operate("/keys/never/00112233445566778899aabbccddeeff/unwrapkey", wrapped)}) {
    EXPECT_EQ(reply.status, 404);
    EXPECT_EQ(reply.Error("code"), "KeyNotFound");
  }
}

TEST_F(AnswerTableTest, RecreatingASoftDeletedKeyConflicts) {
  Create("k1");
  Key("DELETE", "/keys/k1");
  const Reply again = Key("POST", "/keys/k1/create", {{"kty", "RSA"}});
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.Error("code"), "Conflict");
  EXPECT_EQ(again.Inner(), "ObjectIsDeletedButRecoverable");
}

TEST_F(AnswerTableTest, ABadCiphertextAndThatOfAnotherVersionAreBadParameters) {
  const std::string first = Create("k1");
  const std::string wrapped = Wrapped(first);
  const std::string second = PathOf(Key("POST", "/keys/k1/rotate").body["key"]["kid"]);
  ASSERT_NE(first, second);
  for (const Reply& reply :
       {Operate(second + "/unwrapkey", wrapped), Operate(first + "/unwrapkey", "AAAA"),
        Operate(first + "/unwrapkey", ""), Operate(first + "/unwrapkey", "!"),
        Operate(first + "/unwrapkey", wrapped, "RSA-OAEP-999")}) {
    EXPECT_EQ(reply.status, 400) << reply.text;
    EXPECT_EQ(reply.Error("code"), "BadParameter");
  }
  EXPECT_EQ(Operate(first + "/unwrapkey", wrapped).status, 200);
}

TEST_F(AnswerTableTest, AnUnknownVersionOfAKeyIs404Or400AsTheVaultIsSetUp) {
  const std::string wrapped = Wrapped(Create("k1"));
  const std::string unknown = "/keys/k1/00112233445566778899aabbccddeeff";
  const Reply not_found = Operate(unknown + "/unwrapkey", wrapped);
  EXPECT_EQ(not_found.status, 404);
  EXPECT_EQ(not_found.Error("code"), "KeyNotFound");
  SetVault({{"unknown_version_status", 400}});
  EXPECT_EQ(Operate(unknown + "/unwrapkey", wrapped).status, 400);
  EXPECT_EQ(Key("GET", "/keys/k1").status, 200);
}

TEST_F(AnswerTableTest, AThrottledCallIs429WithoutRetryAfterUnlessScripted) {
  const std::string version = Create("k1");
  SetVault({{"limit_per_10s", 2}});
  EXPECT_EQ(Key("GET", version).status, 200);
  EXPECT_EQ(Key("GET", version).status, 200);
  const Reply throttled = Key("GET", version);
  EXPECT_EQ(throttled.status, 429);
  EXPECT_EQ(throttled.Error("code"), "Throttled");
  EXPECT_EQ(throttled.http.Header("Retry-After"), "");
  SetVault({{"limit_per_10s", 0}});
  Script({{{"status", 429}, {"code", "Throttled"}, {"headers", {{"Retry-After", "7"}}}}});
  const Reply scripted = Key("GET", version);
  EXPECT_EQ(scripted.status, 429);
  EXPECT_EQ(scripted.http.Header("Retry-After"), "7");
}

TEST_F(AnswerTableTest, ATokenThatIsNotGoodIsChallenged) {
  const std::string version = Create("k1");
  const std::string good = token_;
  std::string forged = good;
  forged.back() = forged.back() == 'A' ? 'Q' : 'A';
  const std::string other_audience = Token("https://storage.azure.com");
  for (const std::string& bad : {std::string("x.y.z"), forged, other_audience}) {
    token_ = bad;
    const Reply refused = Key("GET", version);
    EXPECT_EQ(refused.status, 401) << refused.text;
    EXPECT_EQ(refused.http.Header("WWW-Authenticate"),
              absl::StrCat("Bearer authorization=\"", url_, "/", options_.tenant_id,
                           "\", resource=\"https://vault.azure.net\""));
  }
  token_ = good;
  const Reply none = Send("GET", url_ + version + "?api-version=7.4", "", {});
  EXPECT_EQ(none.status, 401);
  EXPECT_THAT(none.Error("message"), HasSubstr("AKV10000"));
  EXPECT_EQ(Key("GET", version).status, 200);
  Admin("PUT", "clock", {{"advance_seconds", 3601}});
  EXPECT_THAT(Key("GET", version).Error("message"), HasSubstr("expired"));
  token_ = Token("https://vault.azure.net");
  EXPECT_EQ(Key("GET", version).status, 200);
  Admin("PUT", "tokens", {{"revoke_all", true}});
  EXPECT_THAT(Key("GET", version).Error("message"), HasSubstr("revoked"));
}

TEST_F(AnswerTableTest, ATokenThatAnotherIssuerSignedIsRefused) {
  const std::string version = Create("k1");
  options_.state_dir = dir_.path() + "/other";
  auto other = DevVault::Start(options_, clock_);
  ASSERT_TRUE(other.ok());
  const DevVaultEndpoints ours = vault_->endpoints();
  CurlTransport transport({.ca_file = (*other)->endpoints().ca_file, .connect_to = {}});
  auto answer = transport.Send(
      {"POST",
       absl::StrCat((*other)->endpoints().authority, "/", ours.tenant_id, "/oauth2/v2.0/token"),
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       absl::StrCat("grant_type=client_credentials&client_id=cmkstore-dev&scope=",
                    "https://vault.azure.net/.default&client_secret=",
                    *ReadFile((*other)->endpoints().secret_file))},
      absl::Now() + absl::Seconds(100));
  ASSERT_TRUE(answer.ok());
  token_ = json::parse(answer->body)["access_token"];
  EXPECT_EQ(Key("GET", version).status, 401);
}

TEST_F(AnswerTableTest, TheApiVersionIsMandatory) {
  const std::string version = Create("k1");
  const std::pair<std::string, std::string> token{"Authorization", "Bearer " + token_};
  for (const char* query : {"", "?api-version=", "?api-version=bad"}) {
    const Reply reply = Send("GET", url_ + version + query, "", {token});
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.Error("code"), "BadParameter");
  }
}

TEST_F(AnswerTableTest, AManagedHsmWrapsWithAesAndAsksForATokenOfItsOwn) {
  url_ = "https://hsm1.managedhsm.azure.net";
  const Reply challenged = Key("GET", "/keys/k1");
  EXPECT_EQ(challenged.status, 401);
  EXPECT_THAT(std::string(challenged.http.Header("WWW-Authenticate")),
              HasSubstr("resource=\"https://managedhsm.azure.net\""));
  token_ = Token("https://managedhsm.azure.net");
  const std::string version = Create("k1", {{"kty", "oct-HSM"}});
  const Reply wrapped = Operate(version + "/wrapkey", kDek, "A256KW");
  ASSERT_EQ(wrapped.status, 200) << wrapped.text;
  EXPECT_EQ(wrapped.body["kid"], url_ + version);
  const Reply opened = Operate(version + "/unwrapkey", wrapped.body["value"], "A256KW");
  EXPECT_EQ(opened.body["value"], kDek);
  EXPECT_EQ(Operate(version + "/unwrapkey", kDek, "A256KW").status, 400);
  EXPECT_EQ(Operate(version + "/wrapkey", kDek, "RSA-OAEP-256").status, 400);
  EXPECT_EQ(Key("POST", "/keys/k2/create", {{"kty", "RSA"}}).status, 400);
  EXPECT_EQ(Key("GET", version).body["key"]["kty"], "oct-HSM");
}

}  // namespace
}  // namespace cmkstore::dev_vault
