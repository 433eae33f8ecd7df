// Answers of other servers that a client meets and must survive: none may crash it, leak a token or
// be taken for what it is not. The list is in docs/vaults.md.

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "tests/vault/azure_fixture.h"

namespace cmkstore::vault {
namespace {

using OddAnswersTest = AzureFixture;

HttpResponse Challenge(const std::string& challenge, int status = 401) {
  HttpResponse response = JsonAnswer(status, R"({"error":{"code":"Unauthorized"}})");
  response.headers.emplace_back("WWW-Authenticate", challenge);
  return response;
}

TEST_F(OddAnswersTest, ChallengeWhoseAuthorityIsTheRequestsOwnUrlIsNotFollowed) {
  transport_.Answer(Challenge(
      R"(Bearer resource="https://vault.azure.net", authorization_uri="https://contoso.vault.azure.net/keys/k1")"));
  transport_.Answer(JsonAnswer(200, Bundle()));
  EXPECT_THAT(Describe(), IsOk());
  ASSERT_EQ(transport_.requests().size(), 2u);
  for (const HttpRequest& request : transport_.requests()) {
    EXPECT_EQ(request.url, "https://contoso.vault.azure.net/keys/k1?api-version=7.4");
    EXPECT_EQ(request.body, "") << "nothing but the question goes to the vault";
  }
  EXPECT_EQ(tokens_->resources, (std::vector<std::string>(2, "https://vault.azure.net")));
}

TEST_F(OddAnswersTest, ChallengeForAnotherResourceGetsNoTokenOfIt) {
  transport_.Answer(Challenge(R"(Bearer authorization="https://login.microsoftonline.com/t", )"
                              R"(resource="https://graph.microsoft.com")"));
  EXPECT_THAT(Describe(), FailsWith("VAULT_LOGIN_FAILED", "another resource"));
  EXPECT_EQ(tokens_->resources.size(), 1u);
  EXPECT_EQ(transport_.requests().size(), 1u);
}

TEST_F(OddAnswersTest, ChallengeHeaderOnA200ChangesNothing) {
  transport_.Answer([] {
    HttpResponse response = JsonAnswer(200, Bundle());
    response.headers.emplace_back("WWW-Authenticate", R"(Bearer resource="https://evil.example")");
    return response;
  }());
  EXPECT_THAT(Describe(), IsOk());
  EXPECT_EQ(tokens_->resources.size(), 1u);
}

TEST_F(OddAnswersTest, TheVaultsOwnJwksTroubleIsALoginFailureAfterOneRefreshAndNeverADenial) {
  for (int i = 0; i < 2; ++i) {
    transport_.Answer(JsonAnswer(
        401, R"({"error":{"code":"Unauthorized","message":"invalid token: fetch JWKS: dial tcp: )"
             R"(connection refused"}})"));
  }
  const auto status = Unwrap();
  EXPECT_THAT(status, FailsWith("VAULT_LOGIN_FAILED", "refuses our token"));
  EXPECT_EQ(OutcomeOf(status.status()), VaultOutcome::kLoginFailed);
  EXPECT_EQ(transport_.requests().size(), 2u);
  EXPECT_EQ(testing::HeaderOf(transport_.requests()[1], "Authorization"), "Bearer token-2");
}

TEST_F(OddAnswersTest, A401ThatANewTokenMendsIsNoFailure) {
  transport_.Answer(Challenge(R"(Bearer authorization_uri="https://login.microsoftonline.com/t", )"
                              R"(resource="https://vault.azure.net/")"));
  transport_.Answer(JsonAnswer(200, Bundle()));
  EXPECT_THAT(Describe(), IsOk());
}

TEST_F(OddAnswersTest, HtmlWhereJsonWasExpectedIsUnreachable) {
  const HttpResponse html{200, {{"Content-Type", "text/html"}}, Bundle()};
  transport_.Answer(html);
  EXPECT_THAT(Describe(), FailsWith("VAULT_UNREACHABLE", "unknown"));
  transport_.Answer(html);
  EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "unknown"));
}

TEST_F(OddAnswersTest, RedirectOfADoubleSlashIsNotFollowed) {
  HttpResponse redirect{307, {{"Location", "https://evil.example/"}}, ""};
  transport_.Answer(redirect);
  EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "307"));
  ASSERT_EQ(transport_.requests().size(), 1u);
  EXPECT_EQ(transport_.requests()[0].url.find("//", 8), std::string::npos) << "nor asked for";
}

TEST_F(OddAnswersTest, A404ThatIsNotInTheVaultsWordsIsUnreachableNeverADenial) {
  const HttpResponse pages[] = {
      {404, {{"Content-Type", "text/plain"}}, "404 page not found"},
      {404, {{"Content-Type", "text/html"}}, "<html>no such page</html>"},
      {404, {{"Content-Type", "text/html"}}, R"({"error":{"code":"KeyNotFound"}})"},
      {410, {{"Content-Type", "text/html"}}, "<html>gone</html>"},
      JsonAnswer(404, R"({"timestamp":"2026-01-01","status":404,"error":"Not Found"})"),
      JsonAnswer(404, R"({"statusCode":404,"message":"Resource not found"})"),
      JsonAnswer(404, "")};
  for (const HttpResponse& page : pages) {
    transport_.Answer(page);
    EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "not in the words")) << page.body;
    transport_.Answer(page);
    EXPECT_THAT(Describe(), FailsWith("VAULT_UNREACHABLE", "not in the words")) << page.body;
  }
}

TEST_F(OddAnswersTest, PlainText405IsUnreachable) {
  transport_.Answer(HttpResponse{405, {{"Content-Type", "text/plain"}}, "method not allowed"});
  EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "405"));
}

TEST_F(OddAnswersTest, ErrorThatIsAStringIsNoStatementAboutTheKey) {
  transport_.Answer(JsonAnswer(
      400,
      R"({"timestamp":"2026-01-01T00:00:00Z","status":400,"error":"Bad Request","path":"/"})"));
  EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "unknown"));
}

TEST_F(OddAnswersTest, ErrorCodeThatIsAClassNameIsNotRepeated) {
  transport_.Answer(JsonAnswer(
      403, R"({"error":{"code":"com.example.vault.ForbiddenException","message":"x"}})"));
  const auto status = Unwrap();
  EXPECT_THAT(status, FailsWith("CUSTOMER_KEY_REVOKED", "cause not said"));
  transport_.Answer(
      JsonAnswer(400, R"({"error":{"code":"com.example.vault.CryptoException","message":"x"}})"));
  EXPECT_THAT(Unwrap(), FailsWith("DEK_RECORD_CORRUPT", ""));
}

TEST_F(OddAnswersTest, InnerErrorsNestAndAreMatchedWithoutCase) {
  for (
      const char* body :
      {R"({"error":{"code":"Forbidden","innererror":{"innererror":{"code":"KeyDisabled"}}}})",
       R"({"error":{"code":"Forbidden","innerError":{"code":"KeyDisabled"}}})",
       R"({"error":{"code":"Forbidden","INNERERROR":{"code":"KeyDisabled","innererror":null}}})"}) {
    transport_.Answer(JsonAnswer(403, body));
    EXPECT_THAT(Unwrap(), FailsWith("CUSTOMER_KEY_REVOKED", "KeyDisabled")) << body;
  }
}

TEST_F(OddAnswersTest, A500ForADisabledKeyIsUnreachableNeverADenial) {
  transport_.Answer(
      JsonAnswer(500, R"({"error":{"code":"Forbidden","innererror":{"code":"KeyDisabled"}}})"));
  const auto status = Unwrap();
  EXPECT_EQ(OutcomeOf(status.status()), VaultOutcome::kUnreachable);
}

TEST_F(OddAnswersTest, A403WithoutInnerCodeIsADenialOfUnknownCause) {
  transport_.Answer(JsonAnswer(403, R"({"error":{"code":"Forbidden","message":"no"}})"));
  EXPECT_THAT(Unwrap(), FailsWith("CUSTOMER_KEY_REVOKED", "cause not said"));
  transport_.Answer(HttpResponse{403, {{"Content-Type", "text/html"}}, "<h1>Forbidden</h1>"});
  EXPECT_THAT(Unwrap(), FailsWith("CUSTOMER_KEY_REVOKED", "cause not said"));
}

TEST_F(OddAnswersTest, RetryAfterOfOneSecondIsHonoured) {
  HttpResponse throttled = JsonAnswer(429, R"({"error":{"code":"Throttled"}})");
  throttled.headers.emplace_back("Retry-After", "1");
  transport_.Answer(throttled);
  const auto status = Unwrap();
  EXPECT_THAT(status, FailsWith("VAULT_THROTTLED", ""));
  EXPECT_EQ(RetryAfterOf(status.status()), absl::Seconds(1));
}

TEST_F(OddAnswersTest, AModulusWithALeadingZeroByteHasTheSizeOfItsInteger) {
  for (const int bits : {2048, 3072, 4096}) {
    std::string modulus(static_cast<size_t>(bits) / 8, '\x01');
    modulus[0] = '\x80';
    for (const std::string& n : {modulus, std::string(1, '\0') + modulus}) {
      transport_.Answer(JsonAnswer(200, Bundle(EncodeBase64Url(n))));
      const auto key = Describe();
      ASSERT_THAT(key, IsOk());
      EXPECT_EQ(key->size_bits, static_cast<uint32_t>(bits));
    }
  }
}

TEST_F(OddAnswersTest, RecoverableDaysMayBeAbsent) {
  transport_.Answer(JsonAnswer(200, Bundle()));
  const auto key = Describe();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->recoverable_days, 0);
  EXPECT_TRUE(key->purge_protection);
}

TEST_F(OddAnswersTest, KidOfAnotherHostKeyOrVersionIsRefused) {
  for (const char* kid :
       {"https://evil.vault.azure.net/keys/k1/0123abcd",
        "https://contoso.vault.azure.net.evil.example/keys/k1/0123abcd",
        "https://contoso.vault.azure.net/keys/k2/0123abcd",
        "https://contoso.vault.azure.net/keys/k1/ffff", "https://contoso.vault.azure.net/keys/k1/",
        "https://contoso.vault.azure.net/keys/k1",
        "https://contoso.vault.azure.net/keys/k1/0123abcd/x",
        "https://contoso.vault.azure.net/keys/k1/0123abcd?x", ""}) {
    transport_.Answer(JsonAnswer(200, Operation("AAAA", kid)));
    EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "another key")) << kid;
  }
  transport_.Answer(JsonAnswer(200, Bundle("", "https://evil.vault.azure.net/keys/k1/1")));
  EXPECT_THAT(Describe(), FailsWith("VAULT_UNREACHABLE", "another key"));
}

TEST_F(OddAnswersTest, PaddedBase64UrlIsRead) {
  for (const char* value : {"-_8", "-_8="}) {
    transport_.Answer(JsonAnswer(200, Operation(value)));
    const auto secret = Unwrap();
    ASSERT_THAT(secret, IsOk()) << value;
    EXPECT_EQ(secret->size(), 2u);
  }
  transport_.Answer(JsonAnswer(200, Operation("not base64!")));
  EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "no value"));
}

TEST_F(OddAnswersTest, JsonOfTheWrongShapeIsUnreachable) {
  for (const char* body : {"", "null", "[]", "{}", "{\"key\":1}", "{\"key\":{\"kid\":5}}",
                           "{\"kid\":null,\"value\":7}", "{\"key\":", "\xff\xfe"}) {
    transport_.Answer(JsonAnswer(200, body));
    EXPECT_THAT(Describe(), FailsWith("VAULT_UNREACHABLE", "unknown")) << body;
    transport_.Answer(JsonAnswer(200, body));
    EXPECT_THAT(Unwrap(), FailsWith("VAULT_UNREACHABLE", "unknown")) << body;
    transport_.Answer(JsonAnswer(403, body));
    EXPECT_THAT(Unwrap(), FailsWith("CUSTOMER_KEY_REVOKED", "")) << body;
  }
}

// What a key says of itself goes into check lists and into the details of errors.
TEST_F(OddAnswersTest, WhatAKeySaysOfItselfIsTakenAsShortPlainWords) {
  const std::string flood(10'000, 'x');
  std::string operations;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&operations, i == 0 ? "" : ",", "\"", flood, "\"");
  transport_.Answer(JsonAnswer(
      200, absl::StrCat(R"({"key":{"kid":")", kKid, R"(","kty":"R\u00fcA\n)", flood.substr(0, 500),
                        R"(","key_ops":[)", operations.substr(0, 200'000),
                        operations.size() > 200'000 ? "\"" : "",
                        R"(]},"attributes":{"recoveryLevel":"\u0007)", flood, R"("}})")));
  const auto key = Describe();
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->type.substr(0, 6), "R??A?x");
  EXPECT_EQ(key->type.size(), 64u);
  EXPECT_EQ(key->recovery_level.substr(0, 2), "?x");
  EXPECT_EQ(key->recovery_level.size(), 64u);
  EXPECT_LE(key->operations.size(), 16u);
  for (const std::string& operation : key->operations) EXPECT_LE(operation.size(), 32u);
}

TEST_F(OddAnswersTest, AttributesOfOddTypesAreReadOrRefusedNeverOverlooked) {
  const auto described = [&](const std::string& attributes) {
    transport_.Answer(
        JsonAnswer(200, absl::StrCat(R"({"key":{"kid":")", kKid, R"(","kty":"RSA"},"attributes":)",
                                     attributes, "}")));
    return Describe();
  };
  EXPECT_EQ(described(R"({"exp":1700000000.0})")->expires, absl::FromUnixSeconds(1700000000));
  EXPECT_EQ(described(R"({"exp":null,"enabled":null})")->expires, absl::InfiniteFuture());
  EXPECT_EQ(described(R"({"recoverableDays":99999999999})")->recoverable_days, 10'000);
  EXPECT_EQ(described(R"({"recoverableDays":-5})")->recoverable_days, 0);
  EXPECT_TRUE(described("null")->enabled);
  for (const char* odd :
       {R"({"enabled":"false"})", R"({"enabled":0})", R"({"exp":"soon"})", R"({"nbf":[]})",
        R"({"exp":1e300})", R"({"recoveryLevel":7})", R"({"recoverableDays":"90"})", "[]", "5"}) {
    EXPECT_THAT(described(odd), FailsWith("VAULT_UNREACHABLE", "attributes")) << odd;
  }
}

TEST_F(OddAnswersTest, AVersionGoneFromAKeyThatIsThereIsPagedNotLocked) {
  transport_.Answer(JsonAnswer(404, R"({"error":{"code":"KeyNotFound"}})"));
  transport_.Answer(JsonAnswer(200, Bundle()));
  EXPECT_THAT(Unwrap(), FailsWith("DEK_RECORD_CORRUPT", "version"));
  EXPECT_EQ(transport_.requests()[1].url,
            "https://contoso.vault.azure.net/keys/k1?api-version=7.4");
}

TEST_F(OddAnswersTest, A404WhoseSecondLookComesToNothingIsUnreachableNeverADenial) {
  const std::pair<absl::StatusOr<HttpResponse>, VaultOutcome> looks[] = {
      {JsonAnswer(503, "{}"), VaultOutcome::kUnreachable},
      {JsonAnswer(429, R"({"error":{"code":"Throttled"}})"), VaultOutcome::kThrottled},
      {HttpResponse{404, {{"Content-Type", "text/html"}}, "<html>"}, VaultOutcome::kUnreachable},
      {HttpResponse{200, {{"Content-Type", "text/html"}}, "<html>"}, VaultOutcome::kUnreachable},
      {WithCause(VaultUnreachable("timeout", absl::Seconds(5)), "timeout"),
       VaultOutcome::kUnreachable}};
  for (const auto& [look, outcome] : looks) {
    transport_.Answer(JsonAnswer(404, R"({"error":{"code":"KeyNotFound"}})"));
    transport_.Answer(look);
    const absl::Status status = Unwrap().status();
    EXPECT_EQ(OutcomeOf(status), outcome) << status;
  }
  transport_.Answer(JsonAnswer(404, R"({"error":{"code":"KeyNotFound"}})"));
  for (int i = 0; i < 2; ++i) {
    transport_.Answer(JsonAnswer(401, R"({"error":{"code":"Unauthorized"}})"));
  }
  EXPECT_EQ(OutcomeOf(Unwrap().status()), VaultOutcome::kLoginFailed);
}

TEST_F(OddAnswersTest, A404WhoseSecondLookIsRefusedTooIsADenial) {
  for (const int status : {404, 403}) {
    transport_.Answer(JsonAnswer(404, R"({"error":{"code":"KeyNotFound"}})"));
    transport_.Answer(JsonAnswer(status, R"({"error":{"code":"Forbidden"}})"));
    EXPECT_THAT(Unwrap(), FailsWith("CUSTOMER_KEY_REVOKED", "does not exist"));
  }
}

TEST_F(OddAnswersTest, ARecordOfAnotherVaultIsNeverAsked) {
  const auto status =
      vault_.Unwrap(key_, {"https://other.vault.azure.net/keys/k1/1", "RSA-OAEP-256", "x"}, Soon());
  EXPECT_THAT(status, FailsWith("DEK_RECORD_CORRUPT", "another vault"));
  EXPECT_TRUE(transport_.requests().empty());
}

TEST_F(OddAnswersTest, OctKeysOfAManagedHsmWrapWithKeyWrapAndATokenOfTheirOwn) {
  key_.vault_uri = "https://contoso.managedhsm.azure.net";
  const std::string kid = "https://contoso.managedhsm.azure.net/keys/k1/9";
  transport_.Answer(JsonAnswer(200, absl::StrCat(R"({"key":{"kid":")", kid,
                                                 R"(","kty":"oct-HSM","key_ops":["wrapKey"]}})")));
  transport_.Answer(JsonAnswer(200, Operation(EncodeBase64Url(std::string(40, 'w')), kid)));
  const auto wrapped = vault_.Wrap(key_, random_.Secret(32), Soon());
  ASSERT_THAT(wrapped, IsOk());
  EXPECT_EQ(wrapped->algorithm, "A256KW");
  EXPECT_EQ(wrapped->version_id, kid);
  EXPECT_EQ(nlohmann::json::parse(transport_.requests()[1].body)["alg"], "A256KW");
  EXPECT_EQ(tokens_->resources, std::vector<std::string>{"https://managedhsm.azure.net"});
}

// What comes back is stored: a vault, or what stands before it, that echoes what it was given would
// have the data key lie on disk.
TEST_F(OddAnswersTest, WhatIsNoCiphertextOfTheKeyIsNotTakenForOne) {
  const crypto::SecretBytes dek = random_.Secret(32);
  const std::string plain(reinterpret_cast<const char*>(dek.Reveal().data()), dek.size());
  const std::string n = EncodeBase64Url("\x80" + std::string(255, 'n'));
  const auto wrap = [&](const std::string& value) {
    transport_.Answer(JsonAnswer(200, Bundle(n)));
    transport_.Answer(JsonAnswer(200, Operation(EncodeBase64Url(value))));
    return vault_.Wrap(key_, dek, Soon()).status();
  };
  EXPECT_THAT(wrap(std::string(256, 'w')), IsOk());
  EXPECT_THAT(wrap(plain), FailsWith("VAULT_UNREACHABLE", "no ciphertext of the key"));
  EXPECT_THAT(wrap(std::string(255, 'w')), FailsWith("VAULT_UNREACHABLE", "no ciphertext"));
  EXPECT_THAT(wrap(std::string(257, 'w')), FailsWith("VAULT_UNREACHABLE", "no ciphertext"));
  EXPECT_THAT(wrap(plain + std::string(224, 'w')), FailsWith("VAULT_UNREACHABLE", "no ciphertext"))
      << "of the right size, with the data key in it";
}

TEST_F(OddAnswersTest, EveryCallHasARequestIdOfItsOwn) {
  transport_.Answer(JsonAnswer(200, Bundle()));
  transport_.Answer(JsonAnswer(200, Bundle()));
  ASSERT_THAT(Describe(), IsOk());
  ASSERT_THAT(Describe(), IsOk());
  const std::string first = testing::HeaderOf(transport_.requests()[0], "x-ms-client-request-id");
  EXPECT_EQ(first.size(), 32u);
  EXPECT_NE(first, testing::HeaderOf(transport_.requests()[1], "x-ms-client-request-id"));
}

}  // namespace
}  // namespace cmkstore::vault
