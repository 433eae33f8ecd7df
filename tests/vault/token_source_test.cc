// Every way in: how our own token comes, and that trouble with it is never the tenant's.

#include "vault/token_source.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "crypto/rsa_key.h"
#include "crypto/rsa_verify.h"
#include "crypto/x509_mint.h"
#include "tests/testing/matchers.h"
#include "tests/testing/scripted_transport.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/virtual_clock.h"
#include "vault/login_refusal.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

using testing::FailsWith;
using testing::IsOk;
using testing::JsonAnswer;
using Kind = IdentityOptions::Kind;

constexpr char kResource[] = "https://vault.azure.net";
constexpr char kOtherDirectory[] = "99999999-2222-4333-8444-555555555555";

HttpResponse TokenAnswer(const std::string& token, const std::string& expires = "3600") {
  return JsonAnswer(
      200, absl::StrCat(R"({"access_token":")", token, R"(","expires_in":)", expires, "}"));
}

class TokenSourceTest : public ::testing::Test {
 protected:
  std::unique_ptr<TokenSource> Make(IdentityOptions options) {
    return MakeTokenSource(std::move(options), transport_, clock_, random_);
  }
  absl::StatusOr<AccessToken> Fetch(TokenSource& source) {
    return source.Fetch({"", directory_, kResource}, clock_.WallNow() + absl::Minutes(5));
  }
  IdentityOptions Of(Kind kind) {
    IdentityOptions options;
    options.kind = kind;
    options.authority = "https://login.example";
    options.tenant_id = "tenant";
    options.client_id = "client";
    options.secret_file = options.token_file = options.certificate_file = dir_.path() + "/proof";
    return options;
  }
  void WriteProof(const std::string& content) {
    std::ofstream(dir_.path() + "/proof", std::ios::trunc) << content;
  }
  std::map<std::string, std::string> LastForm() {
    std::map<std::string, std::string> form;
    const std::string body = transport_.requests().back().body;
    for (absl::string_view pair : absl::StrSplit(body, '&')) {
      form.insert(
          std::pair<std::string, std::string>(absl::StrSplit(pair, absl::MaxSplits('=', 1))));
    }
    return form;
  }

  testing::TempDir dir_;
  std::string directory_;  // where a token is asked of
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  testing::ScriptedTransport transport_;
};

TEST_F(TokenSourceTest, AWorkloadIdentityReadsItsFileAgainEachTime) {
  const auto source = Make(Of(Kind::kWorkloadIdentity));
  for (const char* assertion : {"first.assertion", "second.assertion"}) {
    WriteProof(absl::StrCat(assertion, "\n"));
    transport_.Answer(TokenAnswer("t"));
    ASSERT_THAT(Fetch(*source), IsOk());
    EXPECT_EQ(LastForm()["client_assertion"], assertion);
  }
  EXPECT_EQ(transport_.requests()[0].url, "https://login.example/tenant/oauth2/v2.0/token");
  auto form = LastForm();
  EXPECT_EQ(form["grant_type"], "client_credentials");
  EXPECT_EQ(form["client_id"], "client");
  EXPECT_EQ(form["scope"], "https%3a%2f%2fvault.azure.net%2f.default");
  EXPECT_EQ(form["client_assertion_type"],
            "urn%3aietf%3aparams%3aoauth%3aclient-assertion-type%3ajwt-bearer");
}

TEST_F(TokenSourceTest, AWorkloadIdentityTakesWhatIsNotSaidFromThePod) {
  const std::map<std::string, std::string> pod = {
      {"AZURE_TENANT_ID", "pod-tenant"},
      {"AZURE_CLIENT_ID", "pod-client"},
      {"AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"},
      {"AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"}};
  const auto environment = [&pod](const char* name) -> std::optional<std::string> {
    const auto found = pod.find(name);
    return found == pod.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
  IdentityOptions options;
  options.kind = Kind::kWorkloadIdentity;
  options.client_id = "flag-client";
  options.authority.clear();
  options = WithPodEnvironment(options, environment);
  EXPECT_EQ(options.tenant_id, "pod-tenant");
  EXPECT_EQ(options.client_id, "flag-client") << "what was said stands";
  EXPECT_EQ(options.authority, "https://login.microsoftonline.us/");
  EXPECT_EQ(options.token_file, "/var/run/secrets/azure/tokens/azure-identity-token");
  EXPECT_THAT(CheckIdentity(options), IsOk());
  IdentityOptions secret;
  secret.kind = Kind::kClientSecret;
  EXPECT_EQ(WithPodEnvironment(secret, environment).tenant_id, "");
}

TEST_F(TokenSourceTest, AClientSecretIsSentToTheConfiguredAuthorityOnly) {
  WriteProof("s3cret&x");
  transport_.Answer(TokenAnswer("t"));
  ASSERT_THAT(Fetch(*Make(Of(Kind::kClientSecret))), IsOk());
  EXPECT_EQ(LastForm()["client_secret"], "s3cret%26x");
}

TEST_F(TokenSourceTest, AClientCertificateSignsAnAssertionThatTheDirectoryCanVerify) {
  const auto key = crypto::RsaPrivateKey::Generate(2048);
  ASSERT_THAT(key, IsOk());
  const std::string certificate = crypto::MintCa(*key, "client");
  WriteProof(key->ToPem() + certificate);
  transport_.Answer(TokenAnswer("t"));
  ASSERT_THAT(Fetch(*Make(Of(Kind::kClientCertificate))), IsOk());
  const auto jwt = crypto::ParseJwt(LastForm()["client_assertion"]);
  ASSERT_THAT(jwt, IsOk());
  const auto verifier = crypto::RsaPublicKey::Create(key->ModulusBytes(), key->ExponentBytes());
  ASSERT_THAT(verifier, IsOk());
  EXPECT_THAT(verifier->VerifyRs256(jwt->signing_input, jwt->signature), IsOk());
  const auto header = nlohmann::json::parse(jwt->header);
  EXPECT_EQ(header["alg"], "RS256");
  std::string body = certificate.substr(certificate.find('\n'));
  body.resize(body.find("-----END"));
  std::string der;
  ASSERT_TRUE(absl::Base64Unescape(body, &der));
  EXPECT_EQ(header["x5t#S256"], absl::WebSafeBase64Escape(crypto::Sha256(der)));
  const auto claims = nlohmann::json::parse(jwt->claims);
  EXPECT_EQ(claims["aud"], "https://login.example/tenant/oauth2/v2.0/token");
  EXPECT_EQ(claims["iss"], "client");
  EXPECT_EQ(claims["sub"], "client");
  EXPECT_EQ(claims["exp"].get<int64_t>() - claims["nbf"].get<int64_t>(), 600);
  EXPECT_EQ(claims["jti"].get<std::string>().size(), 32u);
}

TEST_F(TokenSourceTest, AnApplicationLogsInAtTheDirectoryThatIsAsked) {
  const auto key = crypto::RsaPrivateKey::Generate(2048);
  directory_ = kOtherDirectory;
  const std::string endpoint =
      absl::StrCat("https://login.example/", kOtherDirectory, "/oauth2/v2.0/token");
  for (const Kind kind : {Kind::kClientSecret, Kind::kWorkloadIdentity, Kind::kClientCertificate}) {
    WriteProof(kind == Kind::kClientCertificate ? key->ToPem() + crypto::MintCa(*key, "client")
                                                : "proof");
    transport_.Answer(TokenAnswer("t"));
    ASSERT_THAT(Fetch(*Make(Of(kind))), IsOk());
    EXPECT_EQ(transport_.requests().back().url, endpoint);
  }
  const auto jwt = crypto::ParseJwt(LastForm()["client_assertion"]);
  EXPECT_EQ(nlohmann::json::parse(jwt->claims)["aud"], endpoint);
}

TEST_F(TokenSourceTest, ADirectoryThatDoesNotKnowUsIsTheTenantsToMendUnlessItIsOurOwn) {
  WriteProof("s3cret");
  const auto refuse = [&](int code) {
    transport_.Answer(JsonAnswer(
        400, absl::StrCat(R"({"error":"unauthorized_client","error_codes":[)", code, "]}")));
    return Fetch(*Make(Of(Kind::kClientSecret))).status();
  };
  EXPECT_EQ(CauseOf(refuse(700016)), "") << "our own directory";
  directory_ = kOtherDirectory;
  for (const int code : {700016, 7000229, 7000112}) {
    const absl::Status refused = refuse(code);
    EXPECT_THAT(refused, FailsWith("VAULT_LOGIN_FAILED", kOtherDirectory));
    EXPECT_EQ(CauseOf(refused), kNoConsent) << code;
  }
  EXPECT_EQ(CauseOf(refuse(7000222)), "") << "our secret has expired";
}

TEST_F(TokenSourceTest, AnAuthorityMayEndWithASlash) {
  WriteProof("proof");
  for (const Kind kind : {Kind::kClientSecret, Kind::kWorkloadIdentity}) {
    IdentityOptions options = Of(kind);
    options.authority = "https://login.example/";
    EXPECT_THAT(CheckIdentity(options), IsOk());
    transport_.Answer(TokenAnswer("t"));
    ASSERT_THAT(Fetch(*Make(options)), IsOk());
    EXPECT_EQ(transport_.requests().back().url, "https://login.example/tenant/oauth2/v2.0/token");
  }
}

TEST_F(TokenSourceTest, WhatARefusalSaysByCodesIsForTheLogAndForNobodyElse) {
  WriteProof("s3cret");
  const auto refuse = [&](const std::string& body) {
    transport_.Answer(JsonAnswer(401, body));
    return Fetch(*Make(Of(Kind::kClientSecret))).status();
  };
  const absl::Status expired = refuse(
      R"({"error":"invalid_client","error_description":"AADSTS7000222: of app x","error_codes":[7000222]})");
  EXPECT_EQ(RefusalOf(expired), "invalid_client 7000222");
  EXPECT_EQ(expired.message(), VaultLoginFailed("the token endpoint answered 401").message());
  EXPECT_EQ(RefusalOf(refuse(R"({"error_codes":[1,2,3,4,5]})")), "1 2 3 4");
  for (const std::string& odd :
       {std::string(R"({"error":"a b","error_codes":[-1,1e30,"7",99999999999]})"),
        absl::StrCat(R"({"error":")", std::string(65, 'a'), R"("})"),
        std::string(R"({"error":{"code":"x"},"error_codes":7})"), std::string("[]"),
        std::string("<html>")}) {
    EXPECT_EQ(RefusalOf(refuse(odd)), "") << odd;
  }
  directory_ = kOtherDirectory;
  EXPECT_EQ(RefusalOf(refuse(R"({"error":"unauthorized_client","error_codes":[700016]})")),
            "unauthorized_client 700016");
  transport_.Answer(JsonAnswer(400, R"({"error":"invalid_request"})"));
  EXPECT_EQ(RefusalOf(Fetch(*Make(IdentityOptions())).status()), "invalid_request");
}

TEST_F(TokenSourceTest, ABrokenProofIsOurTroubleAndNothingIsSent) {
  for (const Kind kind : {Kind::kClientSecret, Kind::kWorkloadIdentity, Kind::kClientCertificate}) {
    const auto missing = Fetch(*Make(Of(kind)));
    EXPECT_THAT(missing, FailsWith("VAULT_LOGIN_FAILED", "file"));
    EXPECT_EQ(OutcomeOf(missing.status()), VaultOutcome::kLoginFailed);
  }
  WriteProof("no pem at all");
  EXPECT_THAT(Fetch(*Make(Of(Kind::kClientCertificate))), FailsWith("VAULT_LOGIN_FAILED", "PEM"));
  EXPECT_TRUE(transport_.requests().empty());
}

TEST_F(TokenSourceTest, AManagedIdentityAsksTheMetadataService) {
  IdentityOptions system;
  transport_.Answer(TokenAnswer("t", "\"3599\""));
  const auto token = Fetch(*Make(system));
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->expires, clock_.WallNow() + absl::Seconds(3599)) << "numbers come as strings";
  const HttpRequest request = transport_.requests()[0];
  EXPECT_EQ(request.url,
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
            "&resource=https%3a%2f%2fvault.azure.net");
  EXPECT_EQ(testing::HeaderOf(request, "Metadata"), "true");
  IdentityOptions user;
  user.client_id = "user-assigned";
  transport_.Answer(TokenAnswer("t"));
  ASSERT_THAT(Fetch(*Make(user)), IsOk());
  EXPECT_TRUE(absl::EndsWith(transport_.requests()[1].url, "&client_id=user-assigned"));
}

TEST_F(TokenSourceTest, TheMetadataServicesNumbersAreReadAsTextAndAsNumbersAndHtmlIsNoToken) {
  for (const char* seconds : {"3599", "\"3599\""}) {
    transport_.Answer(TokenAnswer("t", seconds));
    const auto token = Fetch(*Make(IdentityOptions()));
    ASSERT_THAT(token, IsOk()) << seconds;
    EXPECT_EQ(token->expires, clock_.WallNow() + absl::Seconds(3599));
  }
  transport_.Answer(HttpResponse{200, {{"Content-Type", "text/html"}}, "<html>sign in</html>"});
  EXPECT_THAT(Fetch(*Make(IdentityOptions())), FailsWith("VAULT_LOGIN_FAILED", "JSON"));
  EXPECT_EQ(transport_.requests().size(), 3u) << "a page is not asked for again";
}

// How many seconds after the first attempt each other one came.
std::vector<int64_t> AttemptTimes(int status, int times) {
  testing::VirtualClock clock;
  crypto::SystemRandom random;
  class Timed final : public HttpTransport {
   public:
    Timed(Clock& clock, int status, int times) : clock_(clock), status_(status), left_(times) {}
    absl::StatusOr<HttpResponse> Send(const HttpRequest&, absl::Time) override {
      at.push_back(clock_.WallNow());
      if (left_-- > 0) return JsonAnswer(status_, "{}");
      return TokenAnswer("t");
    }
    std::vector<absl::Time> at;

   private:
    Clock& clock_;
    const int status_;
    int left_;
  } transport(clock, status, times);
  const auto source = MakeTokenSource(IdentityOptions(), transport, clock, random);
  const auto token = source->Fetch({"", "", kResource}, clock.WallNow() + absl::Minutes(5));
  std::vector<int64_t> seconds;
  for (absl::Time at : transport.at) {
    seconds.push_back(absl::ToInt64Seconds(at - transport.at.front()));
  }
  if (!token.ok()) seconds.push_back(-1);
  return seconds;
}

TEST_F(TokenSourceTest, TheMetadataServiceIsTriedAgainByItsSchedule) {
  const std::vector<int64_t> gives_up = {0, 2, 6, 14, 30, -1};
  for (const int status : {404, 429, 500, 503}) {
    EXPECT_EQ(AttemptTimes(status, 100), gives_up) << status;
    EXPECT_EQ(AttemptTimes(status, 2), (std::vector<int64_t>{0, 2, 6})) << status;
  }
  for (const int status : {400, 401, 403, 405}) {
    EXPECT_EQ(AttemptTimes(status, 100), (std::vector<int64_t>{0, -1})) << status;
  }
  EXPECT_EQ(AttemptTimes(410, 100), (std::vector<int64_t>{0, 2, 6, 14, 30, 62, 70, -1}));
}

TEST_F(TokenSourceTest, AnswersThatAreNoTokenAreRefused) {
  const HttpResponse answers[] = {
      JsonAnswer(200, "{}"),
      JsonAnswer(200, "[]"),
      JsonAnswer(200, "nonsense"),
      JsonAnswer(200, R"({"access_token":7,"expires_in":3600})"),
      JsonAnswer(200, R"({"access_token":"","expires_in":3600})"),
      JsonAnswer(200, R"({"access_token":"a\r\nX: y","expires_in":3600})"),
      JsonAnswer(200, R"({"access_token":"t"})"),
      JsonAnswer(200, R"({"access_token":"t","expires_in":"soon"})"),
      JsonAnswer(200, R"({"access_token":"t","expires_in":-1})"),
      JsonAnswer(400, R"({"error":"invalid_client"})"),
      HttpResponse{200, {{"Content-Type", "text/html"}}, R"({"access_token":"t","expires_in":1})"},
  };
  for (const HttpResponse& answer : answers) {
    EXPECT_THAT(ParseTokenAnswer(answer, clock_.WallNow()), FailsWith("VAULT_LOGIN_FAILED", ""))
        << answer.body;
  }
  EXPECT_THAT(ParseTokenAnswer(TokenAnswer("t", "3600"), clock_.WallNow()), IsOk());
}

TEST_F(TokenSourceTest, AnIdentityThatLacksSomethingIsNamedAtStart) {
  IdentityOptions options = Of(Kind::kClientSecret);
  EXPECT_THAT(CheckIdentity(options), IsOk());
  options.authority = "http://login.example";
  EXPECT_THAT(CheckIdentity(options), FailsWith("FIELD_INVALID", "authority"));
  options = Of(Kind::kClientCertificate);
  options.certificate_file.clear();
  EXPECT_THAT(CheckIdentity(options), FailsWith("FIELD_INVALID", "certificate_file"));
  options = Of(Kind::kWorkloadIdentity);
  options.tenant_id.clear();
  EXPECT_THAT(CheckIdentity(options), FailsWith("FIELD_INVALID", "tenant_id"));
  options.client_id.clear();
  EXPECT_THAT(CheckIdentity(options), FailsWith("FIELD_INVALID", "AZURE_TENANT_ID"));
  EXPECT_THAT(CheckIdentity(options), FailsWith("FIELD_INVALID", "AZURE_CLIENT_ID"));
  EXPECT_THAT(CheckGivenOfIdentity(options), IsOk());
  EXPECT_THAT(CheckIdentity(IdentityOptions()), IsOk());
}

TEST_F(TokenSourceTest, AnAuthorityIsAHostAndNothingElse) {
  IdentityOptions options = Of(Kind::kWorkloadIdentity);
  for (const char* good : {"https://login.example", "https://localhost:8443", "https://10.0.0.1",
                           "https://[::1]:8443", "https://login.example:443/"}) {
    options.authority = good;
    EXPECT_THAT(CheckGivenOfIdentity(options), IsOk()) << good;
  }
  for (const char* bad :
       {"", "login.example", "http://login.example", "https://", "https:///", "https://u:p@host",
        "https://host/path", "https://host//", "https://host?x=1", "https://host#x",
        "https://host:", "https://host:0", "https://host:65536", "https://host:1:2",
        "https://ho st", "https://host\\x", "https://.host", "https://[::1", "https://host:+1"}) {
    options.authority = bad;
    EXPECT_THAT(CheckGivenOfIdentity(options), FailsWith("FIELD_INVALID", "authority")) << bad;
  }
}

TEST_F(TokenSourceTest, ATenantIsAGuidOrADomainAndAMetadataServiceIsAHost) {
  IdentityOptions options = Of(Kind::kClientSecret);
  for (const char* good : {kOtherDirectory, "contoso.onmicrosoft.com", "contoso"}) {
    options.tenant_id = good;
    EXPECT_THAT(CheckIdentity(options), IsOk()) << good;
  }
  for (const char* bad : {"../x?y", "..", "a/b", "a b", "contoso.", "a%2fb", "a_b"}) {
    options.tenant_id = bad;
    EXPECT_THAT(CheckIdentity(options), FailsWith("FIELD_INVALID", "tenant_id")) << bad;
  }
  IdentityOptions managed;
  managed.imds_url = "https://localhost:8443/";
  EXPECT_THAT(CheckIdentity(managed), IsOk());
  for (const char* bad : {"ftp://x", "http://", "http://x/y", "169.254.169.254"}) {
    managed.imds_url = bad;
    EXPECT_THAT(CheckIdentity(managed), FailsWith("FIELD_INVALID", "imds_url")) << bad;
  }
}

}  // namespace
}  // namespace cmkstore::vault
