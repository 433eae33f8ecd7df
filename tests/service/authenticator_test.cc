// Every way in which a bearer token may be wrong, and the key sets that tokens are checked by.

#include "service/authenticator.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "base/errors.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using nlohmann::json;

constexpr char kIssuer[] = "https://issuer.example/v2.0";

// Answers with what it was given, in order; the last one again and again.
class ScriptedTransport final : public HttpTransport {
 public:
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request, absl::Time) override {
    absl::MutexLock lock(&mutex_);
    ++calls_;
    last_url_ = request.url;
    if (answers_.empty()) return VaultUnreachable("connect", absl::Seconds(1));
    HttpResponse response = answers_.front();
    if (answers_.size() > 1) answers_.pop_front();
    return response;
  }
  void Answer(int status, std::string body) {
    absl::MutexLock lock(&mutex_);
    answers_ = {{status, {}, std::move(body)}};
  }
  int calls() {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }

 private:
  absl::Mutex mutex_;
  std::deque<HttpResponse> answers_;
  std::string last_url_;
  int calls_ = 0;
};

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    IssuerOptions issuer;
    issuer.issuer = kIssuer;
    issuer.audience = "api://cmkstore";
    issuer.jwks = crypto::JwksOf(Key(), "k1");
    auto created = Authenticator::Create({issuer}, transport_, clock_);
    EXPECT_THAT(created, testing::IsOk());
    authenticator_ = std::move(*created);
  }

  static const crypto::RsaPrivateKey& Key() {
    static const auto* const kKey =
        new crypto::RsaPrivateKey(*crypto::RsaPrivateKey::Generate(2048));
    return *kKey;
  }
  static const crypto::RsaPrivateKey& OtherKey() {
    static const auto* const kKey =
        new crypto::RsaPrivateKey(*crypto::RsaPrivateKey::Generate(2048));
    return *kKey;
  }
  json Claims() {
    const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
    return {{"iss", kIssuer},    {"aud", "api://cmkstore"},      {"tid", "t1"},
            {"oid", "somebody"}, {"roles", {"cmkstore.reader"}}, {"exp", now + 3600},
            {"nbf", now - 10}};
  }
  // `change` edits the claims of a good token.
  std::string Token(const std::function<void(json&)>& change = [](json&) {}) {
    json claims = Claims();
    change(claims);
    return crypto::SignJwt(Key(), "k1", claims.dump());
  }
  std::string ReasonFor(const std::string& token) {
    const auto caller = authenticator_->Authenticate(absl::StrCat("Bearer ", token));
    return caller.ok() ? "OK" : ReasonOf(caller.status());
  }
  // Lets time pass until the issuer's keys are there; in vain, the reason why they are not.
  std::string ReasonOnceKeysAreFetched() {
    std::string reason;
    for (int i = 0; i < 10'000 && reason != "OK"; ++i) {
      clock_.Advance(absl::Seconds(11));
      authenticator_->Tick();
      std::this_thread::yield();
      reason = ReasonFor(Token());
    }
    return reason;
  }
  std::string MessageFor(const std::string& token) {
    return std::string(
        authenticator_->Authenticate(absl::StrCat("Bearer ", token)).status().message());
  }
  // A token with a header of our own and any signature.
  std::string Forged(const json& header, const std::function<std::string(std::string)>& sign) {
    const std::string input = absl::StrCat(absl::WebSafeBase64Escape(header.dump()), ".",
                                           absl::WebSafeBase64Escape(Claims().dump()));
    return absl::StrCat(input, ".", absl::WebSafeBase64Escape(sign(input)));
  }

  testing::VirtualClock clock_;
  ScriptedTransport transport_;
  std::unique_ptr<Authenticator> authenticator_;
};

TEST_F(AuthenticatorTest, AGoodTokenSaysWhoCalls) {
  const auto caller = authenticator_->Authenticate("Bearer " + Token());
  ASSERT_THAT(caller, testing::IsOk());
  EXPECT_EQ((*caller)->tenant, "t1");
  EXPECT_EQ((*caller)->subject, "somebody");
  EXPECT_EQ((*caller)->roles, std::vector<std::string>{"cmkstore.reader"});
}

TEST_F(AuthenticatorTest, WhatIsNoBearerTokenIsRefused) {
  for (const char* header : {"", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a.b",
                             "Bearer a.b.c.d", "Bearer ..", "Bearer !!!.!!!.!!!"}) {
    const auto caller = authenticator_->Authenticate(header);
    EXPECT_EQ(ReasonOf(caller.status()), "TOKEN_INVALID") << header;
  }
  EXPECT_EQ(ReasonFor(std::string(crypto::kMaxJwtBytes + 1, 'a')), "TOKEN_INVALID");
}

TEST_F(AuthenticatorTest, AlgorithmNoneIsRefused) {
  for (const char* algorithm : {"none", "None", "NONE", ""}) {
    const std::string token = Forged({{"alg", algorithm}, {"kid", "k1"}}, [](auto) { return ""; });
    EXPECT_EQ(ReasonFor(token), "TOKEN_INVALID") << algorithm;
    EXPECT_EQ(ReasonFor(Forged({{"alg", algorithm}, {"kid", "k1"}},
                               [](const std::string& input) { return Key().SignRs256(input); })),
              "TOKEN_INVALID")
        << algorithm;
  }
}

TEST_F(AuthenticatorTest, AnHmacWithThePublicKeyIsRefused) {
  for (const std::string& secret :
       {Key().ModulusBytes(), crypto::JwksOf(Key(), "k1"), Key().ToPem()}) {
    const std::string token =
        Forged({{"alg", "HS256"}, {"kid", "k1"}}, [&](const std::string& input) {
          return crypto::HmacSha256(
              {reinterpret_cast<const uint8_t*>(secret.data()), secret.size()}, input);
        });
    EXPECT_EQ(ReasonFor(token), "TOKEN_INVALID");
    EXPECT_NE(MessageFor(token).find("not RS256"), std::string::npos);
  }
}

TEST_F(AuthenticatorTest, AnotherKeyAndAnotherKeyIdAreRefused) {
  EXPECT_EQ(ReasonFor(crypto::SignJwt(OtherKey(), "k1", Claims().dump())), "TOKEN_INVALID");
  const std::string unknown = crypto::SignJwt(Key(), "k2", Claims().dump());
  EXPECT_EQ(ReasonFor(unknown), "TOKEN_INVALID");
  EXPECT_NE(MessageFor(unknown).find("signing key is not known"), std::string::npos);
}

TEST_F(AuthenticatorTest, AChangedTokenIsRefused) {
  const std::vector<std::string> parts = absl::StrSplit(Token(), '.');
  const std::vector<std::string> other =
      absl::StrSplit(Token([](json& claims) { claims["tid"] = "t2"; }), '.');
  EXPECT_EQ(ReasonFor(absl::StrCat(parts[0], ".", other[1], ".", parts[2])), "TOKEN_INVALID");
  std::string signature;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[2], &signature));
  for (size_t byte = 0; byte < signature.size(); byte += 17) {
    std::string flipped = signature;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 1);
    EXPECT_EQ(
        ReasonFor(absl::StrCat(parts[0], ".", parts[1], ".", absl::WebSafeBase64Escape(flipped))),
        "TOKEN_INVALID");
  }
}

TEST_F(AuthenticatorTest, CriticalExtensionsAreRefused) {
  EXPECT_EQ(ReasonFor(Forged({{"alg", "RS256"}, {"kid", "k1"}, {"crit", {"exp"}}},
                             [](const std::string& input) { return Key().SignRs256(input); })),
            "TOKEN_INVALID");
}

TEST_F(AuthenticatorTest, IssuerAudienceTenantAndSubjectMustBeThere) {
  EXPECT_EQ(ReasonFor(Token([](json& c) { c["iss"] = "https://other.example"; })), "TOKEN_INVALID");
  EXPECT_EQ(ReasonFor(Token([](json& c) { c["aud"] = "api://other"; })), "TOKEN_INVALID");
  EXPECT_EQ(ReasonFor(Token([](json& c) { c["aud"] = {"x", "api://cmkstore"}; })), "OK");
  for (const char* claim : {"iss", "aud", "tid", "oid", "exp"}) {
    EXPECT_EQ(ReasonFor(Token([&](json& c) { c.erase(claim); })), "TOKEN_INVALID") << claim;
  }
  EXPECT_EQ(ReasonFor(Token([](json& c) {
              c.erase("oid");
              c["sub"] = "a service";
            })),
            "OK");
}

TEST_F(AuthenticatorTest, TimesHaveAMinuteOfLeeway) {
  const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["exp"] = now - 59; })), "OK");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["exp"] = now - 60; })), "TOKEN_EXPIRED");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["nbf"] = now + 60; })), "OK");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["nbf"] = now + 61; })), "TOKEN_INVALID");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["exp"] = "tomorrow"; })), "TOKEN_INVALID");
  const auto exact = static_cast<double>(now);
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["exp"] = exact - 59.5; })), "OK");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["exp"] = exact - 60.5; })), "TOKEN_EXPIRED");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["nbf"] = exact + 59.5; })), "OK");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["nbf"] = exact + 62.5; })), "TOKEN_INVALID");
  EXPECT_EQ(ReasonFor(Token([&](json& c) { c["exp"] = 1e300; })), "OK");
}

TEST_F(AuthenticatorTest, ARememberedTokenExpiresAllTheSame) {
  const std::string token = Token();
  EXPECT_EQ(ReasonFor(token), "OK");
  clock_.Advance(absl::Minutes(62));
  EXPECT_EQ(ReasonFor(token), "TOKEN_EXPIRED");
}

TEST_F(AuthenticatorTest, AnIssuerOfManyDirectoriesSpeaksForEachOfThemOnly) {
  IssuerOptions issuer;
  issuer.issuer = "https://login.example/{tid}/v2.0";
  issuer.audience = "api://cmkstore";
  issuer.jwks = crypto::JwksOf(Key(), "k1");
  authenticator_ = *Authenticator::Create({issuer}, transport_, clock_);
  const auto from = [&](const char* iss, const char* tid) {
    return ReasonFor(Token([&](json& c) {
      c["iss"] = iss;
      c["tid"] = tid;
    }));
  };
  EXPECT_EQ(from("https://login.example/t1/v2.0", "t1"), "OK");
  EXPECT_EQ(from("https://login.example/t2/v2.0", "t1"), "TOKEN_INVALID");
  EXPECT_EQ(from("https://login.example/a/b/v2.0", "a/b"), "TOKEN_INVALID");
}

// Entra's set for all directories has keys of single ones in it, too.
TEST_F(AuthenticatorTest, AKeySignsForTheIssuerOnlyThatItsSetNames) {
  const auto from_t1 = [&](const std::string& issuer_of_key, const char* trusted) {
    json set = json::parse(crypto::JwksOf(Key(), "k1"));
    set["keys"][0]["issuer"] = issuer_of_key;
    IssuerOptions issuer;
    issuer.issuer = trusted;
    issuer.audience = "api://cmkstore";
    issuer.jwks = set.dump();
    authenticator_ = *Authenticator::Create({issuer}, transport_, clock_);
    return MessageFor(Token([](json& c) { c["iss"] = "https://login.example/t1/v2.0"; }));
  };
  for (const char* trusted :
       {"https://login.example/{tid}/v2.0", "https://login.example/t1/v2.0"}) {
    EXPECT_EQ(from_t1("https://login.example/{tenantid}/v2.0", trusted), "");
    EXPECT_EQ(from_t1("https://login.example/t1/v2.0", trusted), "");
    for (const char* other :
         {"https://login.example/t2/v2.0", "https://other.example/{tenantid}/v2.0",
          "https://login.example/{tid}/v2.0"}) {
      EXPECT_NE(from_t1(other, trusted).find("another issuer"), std::string::npos) << other;
    }
  }
}

TEST_F(AuthenticatorTest, AClustersSubjectsAreWhomTheConfigurationSaysAndNobodyElse) {
  IssuerOptions issuer;
  issuer.issuer = kIssuer;
  issuer.audience = "api://cmkstore";
  issuer.jwks = crypto::JwksOf(Key(), "k1");
  issuer.workloads = {{"system:serviceaccount:cmk:backup", "t9", {"cmkstore.operator"}}};
  authenticator_ = *Authenticator::Create({issuer}, transport_, clock_);
  const auto of = [&](const char* subject) { return Token([&](json& c) { c["sub"] = subject; }); };
  const auto caller =
      authenticator_->Authenticate("Bearer " + of("system:serviceaccount:cmk:backup"));
  ASSERT_THAT(caller, testing::IsOk());
  EXPECT_EQ((*caller)->tenant, "t9");  // whatever `tid`, `oid` and `roles` say
  EXPECT_EQ((*caller)->subject, "system:serviceaccount:cmk:backup");
  EXPECT_EQ((*caller)->roles, std::vector<std::string>{"cmkstore.operator"});
  EXPECT_EQ(ReasonFor(of("system:serviceaccount:cmk:default")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonFor(Token()), "TOKEN_INVALID");
}

TEST_F(AuthenticatorTest, AnIssuersUrlIsFetchedInTheBackground) {
  IssuerOptions issuer;
  issuer.issuer = kIssuer;
  issuer.audience = "api://cmkstore";
  issuer.jwks_url = "http://issuer.example/keys";
  EXPECT_EQ(ReasonOf(Authenticator::Create({issuer}, transport_, clock_).status()),
            "FIELD_INVALID");
  issuer.jwks_url = "https://issuer.example/keys";
  authenticator_ = *Authenticator::Create({issuer}, transport_, clock_);
  EXPECT_EQ(ReasonFor(Token()), "TOKEN_INVALID");  // the issuer is down
  transport_.Answer(200, crypto::JwksOf(Key(), "k1"));
  EXPECT_EQ(ReasonOnceKeysAreFetched(), "OK");
}

TEST_F(AuthenticatorTest, AReloadKeepsTheKeysOfAUrlWhoseIssuerIsDown) {
  IssuerOptions issuer;
  issuer.issuer = kIssuer;
  issuer.audience = "api://cmkstore";
  issuer.jwks_url = "https://issuer.example/keys";
  transport_.Answer(200, crypto::JwksOf(Key(), "k1"));
  authenticator_ = *Authenticator::Create({issuer}, transport_, clock_);
  ASSERT_EQ(ReasonOnceKeysAreFetched(), "OK");
  transport_.Answer(503, "");
  ASSERT_THAT(authenticator_->SetIssuers({issuer}), testing::IsOk());
  EXPECT_EQ(ReasonFor(Token()), "OK");
  issuer.jwks_url = "https://other.example/keys";
  ASSERT_THAT(authenticator_->SetIssuers({issuer}), testing::IsOk());
  EXPECT_EQ(ReasonFor(Token()), "TOKEN_INVALID") << "whose keys nobody has seen";
}

TEST_F(AuthenticatorTest, AKeySetThatWasGivenMustParse) {
  for (const char* jwks : {"", "nonsense", R"({"keys": []})"}) {
    IssuerOptions issuer;
    issuer.issuer = "https://issuer.example";
    issuer.jwks = jwks;
    const absl::Status refused = Authenticator::Create({issuer}, transport_, clock_).status();
    EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr(issuer.issuer)) << "whose";
    EXPECT_EQ(ReasonOf(authenticator_->SetIssuers({issuer})), "FIELD_INVALID");
    EXPECT_EQ(ReasonFor(Token()), "OK") << "and then nothing has changed";
  }
}

class JwksCacheTest : public AuthenticatorTest {
 protected:
  void WaitForWorker() {
    absl::Notification reached;
    ASSERT_TRUE(worker_.TryRun([&] { reached.Notify(); }));
    reached.WaitForNotification();
  }
  absl::StatusOr<std::string> Fetch() {
    ++fetches_;
    if (down_) return VaultUnreachable("connect", absl::Seconds(1));
    return jwks_;
  }

  Worker worker_{{.name = "test", .threads = 1, .max_queued = 8}};
  std::string jwks_ = crypto::JwksOf(Key(), "k1");
  bool down_ = false;
  int fetches_ = 0;
  const std::shared_ptr<JwksCache> shared_ = std::make_shared<JwksCache>(
      JwksOptions(), [this] { return Fetch(); }, worker_, clock_);
  JwksCache& cache_ = *shared_;
};

TEST_F(JwksCacheTest, AnUnknownKeyIsFetchedOnceInTenSecondsAtMost) {
  ASSERT_THAT(cache_.Load(), testing::IsOk());
  jwks_ = crypto::JwksOf(OtherKey(), "k2");
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(cache_.Find("k2").has_value());
  WaitForWorker();
  EXPECT_EQ(fetches_, 1) << "a made-up key id must not make us ask the issuer";
  clock_.Advance(absl::Seconds(10));
  EXPECT_FALSE(cache_.Find("k2").has_value());
  WaitForWorker();
  EXPECT_EQ(fetches_, 2);
  EXPECT_TRUE(cache_.Find("k2").has_value());
  EXPECT_FALSE(cache_.Find("k1").has_value()) << "what the issuer has withdrawn is gone";
}

TEST_F(JwksCacheTest, TheLastGoodKeysServeWhileTheIssuerIsDownOrAnswersRubbish) {
  ASSERT_THAT(cache_.Load(), testing::IsOk());
  for (const std::string& rubbish :
       {std::string("<html>"), std::string(R"({"keys": [{"kty": "EC"}]})"),
        std::string(kMaxJwksBytes + 1, ' ')}) {
    jwks_ = rubbish;
    clock_.Advance(absl::Hours(1));
    cache_.Tick();
    WaitForWorker();
    EXPECT_TRUE(cache_.Find("k1").has_value());
  }
  down_ = true;
  clock_.Advance(absl::Hours(48));
  cache_.Tick();
  WaitForWorker();
  EXPECT_TRUE(cache_.Find("k1").has_value());
  EXPECT_EQ(fetches_, 5);
}

TEST_F(JwksCacheTest, KeysForAnotherUseAreLeftOut) {
  json set = json::parse(crypto::JwksOf(Key(), "k1"));
  for (const auto& [name, value] :
       {std::pair{"use", "enc"}, {"alg", "RS512"}, {"kid", ""}, {"kty", "oct"}}) {
    json changed = set;
    changed["keys"][0][name] = value;
    EXPECT_EQ(ReasonOf(ParseJwks(changed.dump()).status()), "FIELD_INVALID") << name;
  }
}

}  // namespace
}  // namespace cmkstore::service
