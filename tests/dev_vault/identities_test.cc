// Every way to a token: secret, certificate, federated assertion, managed identity.

#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "crypto/rsa_key.h"
#include "crypto/rsa_vault_operations.h"
#include "crypto/x509_mint.h"
#include "tests/dev_vault/dev_vault_fixture.h"

namespace cmkstore::dev_vault {
namespace {

using ::testing::HasSubstr;

constexpr char kAssertion[] =
    "grant_type=client_credentials&scope=https://vault.azure.net/.default&client_assertion_type="
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

std::string DerOf(std::string pem) {
  pem = pem.substr(pem.find('\n') + 1);
  pem = pem.substr(0, pem.find("-----END"));
  std::erase(pem, '\n');
  std::string der;
  EXPECT_TRUE(absl::Base64Unescape(pem, &der));
  return der;
}

class IdentitiesTest : public DevVaultTest {
 protected:
  std::string AsJwt(const json& header, const json& claims, const crypto::RsaPrivateKey& key) {
    const std::string input = absl::StrCat(absl::WebSafeBase64Escape(header.dump()), ".",
                                           absl::WebSafeBase64Escape(claims.dump()));
    const auto signature = header["alg"] == "PS256"
                               ? crypto::RsaSignDigest(key, "PS256", crypto::Sha256(input))
                               : key.SignRs256(input);
    return absl::StrCat(input, ".", absl::WebSafeBase64Escape(*signature));
  }
  Reply Assert(const std::string& assertion, const std::string& client = "cmkstore-dev") {
    return TokenRequest(
        absl::StrCat(kAssertion, "&client_id=", client, "&client_assertion=", assertion));
  }
  void ExpectRefused(const Reply& reply, const std::string& code) {
    EXPECT_EQ(reply.status, 401) << reply.text;
    EXPECT_EQ(reply.body["error"], "invalid_client");
    EXPECT_THAT(reply.body["error_description"].get<std::string>(), HasSubstr(code));
  }
  void ExpectWorks(const Reply& reply) {
    ASSERT_EQ(reply.status, 200) << reply.text;
    token_ = reply.body["access_token"];
    EXPECT_EQ(Key("GET", "/keys").status, 200);
  }
  std::string Federated(const json& how = json::object()) {
    return Admin("POST", "federated-token", how).body["token"];
  }
  Reply Imds(const std::string& query,
             std::vector<std::pair<std::string, std::string>> headers = {{"Metadata", "true"}}) {
    return Send("GET",
                absl::StrCat(vault_->endpoints().imds_url,
                             "/metadata/identity/oauth2/token?api-version=2018-02-01", query),
                "", std::move(headers));
  }
  static int64_t Now() { return absl::ToUnixSeconds(absl::Now()); }
};

TEST_F(IdentitiesTest, AWrongSecretClientTenantScopeOrGrantIsRefusedAsEntraDoes) {
  const std::string scope = "&scope=https://vault.azure.net/.default";
  const auto form = [](const std::string& grant, const std::string& client, std::string rest) {
    return absl::StrCat("grant_type=", grant, "&client_id=", client, "&client_secret=no", rest);
  };
  ExpectRefused(TokenRequest(form("client_credentials", "cmkstore-dev", scope)), "AADSTS7000215");
  EXPECT_EQ(TokenRequest(form("client_credentials", "who", scope)).body["error"],
            "unauthorized_client");
  EXPECT_EQ(TokenRequest(form("password", "cmkstore-dev", scope)).body["error"],
            "unsupported_grant_type");
  EXPECT_EQ(TokenRequest(form("client_credentials", "cmkstore-dev", "&scope=x")).body["error"],
            "invalid_scope");
  const Reply tenant = Send("POST", url_ + "/nobody/oauth2/v2.0/token", "",
                            {{"Content-Type", "application/x-www-form-urlencoded"}});
  EXPECT_THAT(tenant.text, HasSubstr("AADSTS90002"));
}

TEST_F(IdentitiesTest, ANewIdentityHasNoPermissionUntilItIsGiven) {
  const Reply made = Admin("PUT", "identities/backend", {{"secret", "s3cret"}});
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.text.find("s3cret"), std::string::npos);
  Create("k1");
  token_ = Token("https://vault.azure.net", "backend", "s3cret");
  const Reply refused = Key("GET", "/keys/k1");
  EXPECT_EQ(refused.Inner(), "ForbiddenByPolicy");
  EXPECT_THAT(refused.Error("message"), HasSubstr("appid=backend;"));
  SetVault({{"access", {{"backend", {"get"}}}}});
  EXPECT_EQ(Key("GET", "/keys/k1").status, 200);
  EXPECT_EQ(Key("DELETE", "/keys/k1").status, 403);
  EXPECT_EQ(Admin("DELETE", "identities/backend").status, 200);
  EXPECT_EQ(Admin("DELETE", "identities/backend").status, 404);
}

TEST_F(IdentitiesTest, ACertificateProvesTheClientByEitherThumbprintAndAlgorithm) {
  const auto key = *crypto::RsaPrivateKey::Generate(2048);
  const std::string pem = crypto::MintCa(key, "cmkstore-dev");
  ASSERT_EQ(Admin("PUT", "identities/cmkstore-dev", {{"certificate", pem}}).status, 200);
  const std::string endpoint = absl::StrCat(url_, "/", options_.tenant_id, "/oauth2/v2.0/token");
  const json claims = {{"aud", endpoint},    {"iss", "cmkstore-dev"}, {"sub", "cmkstore-dev"},
                       {"exp", Now() + 300}, {"nbf", Now()},          {"jti", "1"}};
  const std::string sha256 = absl::WebSafeBase64Escape(crypto::Sha256(DerOf(pem)));
  const json header = {{"alg", "PS256"}, {"typ", "JWT"}, {"x5t#S256", sha256}};
  ExpectWorks(Assert(AsJwt(header, claims, key)));

  json rs256 = header, other = header, late = claims, elsewhere = claims, stranger = claims;
  rs256["alg"] = "RS256";
  ExpectWorks(Assert(AsJwt(rs256, claims, key)));
  other["x5t#S256"] = absl::WebSafeBase64Escape(crypto::Sha256("another"));
  ExpectRefused(Assert(AsJwt(other, claims, key)), "AADSTS700027");
  late["exp"] = Now() - 1;
  ExpectRefused(Assert(AsJwt(header, late, key)), "AADSTS700024");
  elsewhere["aud"] = "https://login.example";
  ExpectRefused(Assert(AsJwt(header, elsewhere, key)), "AADSTS700021");
  stranger["sub"] = "somebody";
  ExpectRefused(Assert(AsJwt(header, stranger, key)), "AADSTS700021");
  const auto wrong_key = *crypto::RsaPrivateKey::Generate(2048);
  ExpectRefused(Assert(AsJwt(header, claims, wrong_key)), "invalid signature");
}

TEST_F(IdentitiesTest, AFederatedTokenIsTakenOnlyFromItsIssuerSubjectAudienceAndTime) {
  ExpectWorks(Assert(*ReadFile(vault_->endpoints().federated_token_file)));
  ExpectWorks(Assert(Federated()));
  ExpectRefused(Assert(Federated({{"subject", "system:serviceaccount:default:other"}})),
                "AADSTS700213");
  ExpectRefused(Assert(Federated({{"audience", "somewhere"}})), "AADSTS700212");
  ExpectRefused(Assert(Federated({{"lifetime_seconds", -1}})), "AADSTS700024");
  ExpectRefused(Assert(Federated({{"starts_in_seconds", 3600}})), "AADSTS700024");
  const auto key = *crypto::RsaPrivateKey::Generate(2048);
  const json claims = {{"iss", url_ + "/cluster"},
                       {"sub", "system:serviceaccount:default:cmkstore"},
                       {"aud", "api://AzureADTokenExchange"},
                       {"exp", Now() + 300}};
  ExpectRefused(Assert(crypto::SignJwt(key, "dev-cluster", claims.dump())), "AADSTS50013");
  ExpectRefused(Assert("nonsense"), "AADSTS50027");
}

TEST_F(IdentitiesTest, AFederatedTokenOfAnotherClustersKeySetIsTaken) {
  const auto key = *crypto::RsaPrivateKey::Generate(2048);
  const std::string file = dir_.path() + "/jwks.json";
  WriteFileDurably(file, crypto::JwksOf(key, "k"));
  const json trust = {{"issuer", "https://aks.example"}, {"subject", "sa"}, {"jwks_file", file}};
  ASSERT_EQ(Admin("PUT", "identities/aks", {{"federated", {trust}}}).status, 200);
  SetVault({{"access", {{"aks", {"all"}}}}});
  const json claims = {{"iss", "https://aks.example"},
                       {"sub", "sa"},
                       {"aud", {"api://AzureADTokenExchange"}},
                       {"exp", Now() + 300}};
  ExpectWorks(Assert(crypto::SignJwt(key, "k", claims.dump()), "aks"));
  WriteFileDurably(file, "{}");
  ExpectRefused(Assert(crypto::SignJwt(key, "k", claims.dump()), "aks"), "AADSTS50013");
}

// As Azure does it: a vault takes tokens of its own directory only, and a directory gives them to
// applications that it knows.
TEST_F(IdentitiesTest, AVaultTakesTokensOfItsOwnDirectoryOnly) {
  const std::string other = "99999999-2222-4333-8444-555555555555";
  SetVault({{"directory", other}});
  const Reply refused = Key("GET", "/keys");
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.text, HasSubstr("AKV10032: Invalid issuer"));
  EXPECT_THAT(std::string(refused.http.Header("WWW-Authenticate")), HasSubstr(url_ + "/" + other));
  const auto log_in = [&] {
    return Send("POST", absl::StrCat(url_, "/", other, "/oauth2/v2.0/token"),
                absl::StrCat(kAssertion, "&client_id=cmkstore-dev&client_assertion=", Federated()),
                {{"Content-Type", "application/x-www-form-urlencoded"}});
  };
  const Reply unknown = log_in();
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.body["error_codes"], json({700016}));
  Admin("PUT", "identities/cmkstore-dev", {{"directories", {other}}});
  ExpectWorks(log_in());
  SetVault({{"directory", ""}});
  EXPECT_EQ(Key("GET", "/keys").status, 401);
}

TEST_F(IdentitiesTest, TheMetadataServiceGivesTokensWithNumbersAsStrings) {
  const Reply token = Imds("&resource=https://vault.azure.net");
  ASSERT_EQ(token.status, 200) << token.text;
  EXPECT_EQ(token.body["expires_in"], "3599");
  EXPECT_TRUE(token.body["expires_on"].is_string());
  token_ = token.body["access_token"];
  EXPECT_EQ(Key("GET", "/keys").status, 200);
}

TEST_F(IdentitiesTest, TheMetadataServiceRefusesWhatCouldBeForged) {
  const std::string resource = "&resource=https://vault.azure.net";
  EXPECT_EQ(Imds(resource, {}).status, 400);
  EXPECT_EQ(Imds(resource, {{"Metadata", "true"}, {"X-Forwarded-For", "10.0.0.1"}}).status, 400);
  EXPECT_EQ(Imds("").status, 400);
  EXPECT_EQ(Imds(resource + "&client_id=unknown").body["error_description"], "Identity not found");
}

TEST_F(IdentitiesTest, AUserAssignedIdentityIsChosenByAnyOfItsNames) {
  ASSERT_EQ(Admin("PUT", "identities/user1",
                  {{"managed", "user"}, {"object_id", "o-1"}, {"resource_id", "/r/1"}})
                .status,
            200);
  const std::string resource = "&resource=https://vault.azure.net";
  for (const char* by :
       {"&client_id=user1", "&object_id=o-1", "&msi_res_id=/r/1", "&mi_res_id=/r/1"}) {
    EXPECT_EQ(Imds(resource + by).body["client_id"], "user1") << by;
  }
  EXPECT_EQ(Imds(resource).body["client_id"], "cmkstore-dev") << "the system-assigned one";
  ASSERT_EQ(Admin("PUT", "identities/cmkstore-dev", {{"managed", ""}}).status, 200);
  EXPECT_EQ(Imds(resource).status, 400);
}

TEST_F(IdentitiesTest, TheMetadataServiceFailsAsScripted) {
  const std::string resource = "&resource=https://vault.azure.net";
  Script({{{"operation", "imds"}, {"status", 410}}});
  EXPECT_EQ(Imds(resource).status, 410);
  Script({{{"operation", "imds"}, {"kind", "reset"}, {"count", -1}}});
  EXPECT_FALSE(Imds(resource).sent.ok());
  Script(json::array());
  EXPECT_EQ(Imds(resource).status, 200);
}

TEST_F(IdentitiesTest, TokensCarryRolesAndVerifyByThePublishedKeys) {
  Admin("PUT", "identities/cmkstore-dev", {{"roles", {"reader"}}});
  Admin("PUT", "tokens", {{"lifetime_seconds", 60}});
  const std::string token = Token("api://cmkstore");
  const std::string discovery = absl::StrCat(url_, "/", options_.tenant_id);
  const Reply configuration =
      Send("GET", discovery + "/v2.0/.well-known/openid-configuration", "", {});
  const Reply keys = Send("GET", configuration.body["jwks_uri"], "", {});
  EXPECT_EQ(keys.body["keys"][0]["kid"], "dev-vault");
  const json claims = json::parse(crypto::ParseJwt(token)->claims);
  EXPECT_EQ(claims["iss"], configuration.body["issuer"]);
  EXPECT_EQ(claims["aud"], "api://cmkstore");
  EXPECT_EQ(claims["roles"], json({"reader"}));
  EXPECT_EQ(claims["exp"].get<int64_t>() - claims["iat"].get<int64_t>(), 60);
}

}  // namespace
}  // namespace cmkstore::dev_vault
