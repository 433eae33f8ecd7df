// Scripted faults, as a client meets them.

#include <thread>
#include <vector>

#include "tests/dev_vault/dev_vault_fixture.h"

namespace cmkstore::dev_vault {
namespace {

using ::testing::HasSubstr;

class FaultScriptTest : public DevVaultTest {
 protected:
  void SetUp() override { version_ = Create("k1"); }
  std::string version_;
};

TEST_F(FaultScriptTest, AFaultMeetsItsOperationAsOftenAsItSays) {
  Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", 2}},
          {{"operation", "get"}, {"status", 500}}});
  const std::string wrapped = Wrapped(version_);
  EXPECT_EQ(Key("GET", version_).status, 500);
  EXPECT_EQ(Key("GET", version_).status, 200);
  EXPECT_EQ(Operate(version_ + "/unwrapkey", wrapped).status, 503);
  EXPECT_EQ(Operate(version_ + "/unwrapkey", wrapped).status, 503);
  EXPECT_EQ(Operate(version_ + "/unwrapkey", wrapped).status, 200);
  EXPECT_EQ(Admin("GET", "faults").body["faults"].size(), 0u);
}

TEST_F(FaultScriptTest, AFaultCanSkipMatchAPathAndAVaultAndGoOnForEver) {
  Script({{{"path", "/k2(/|$)"}, {"status", 500}, {"count", -1}},
          {{"vault", "kv1.vault.azure.net"}, {"status", 501}, {"count", -1}},
          {{"operation", "get"}, {"status", 502}, {"skip", 1}}});
  EXPECT_EQ(Key("GET", version_).status, 200);
  EXPECT_EQ(Key("GET", version_).status, 502);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Key("GET", "/keys/k2").status, 500);
  url_ = "https://kv1.vault.azure.net";
  EXPECT_EQ(Key("GET", "/keys/k1").status, 501);
}

TEST_F(FaultScriptTest, AnAnswerIsGivenToTheLetter) {
  Script({{{"status", 307}, {"headers", {{"Location", "/elsewhere"}}}},
          {{"status", 200}, {"body", "<html>"}, {"content_type", "text/html"}},
          {{"status", 403}, {"code", "Forbidden"}, {"inner_code", "ForbiddenByFirewall"}},
          {{"status", 400}, {"body", {{"timestamp", 1}, {"error", "Bad Request"}}}},
          {{"status", 405}, {"body", ""}}});
  EXPECT_EQ(Key("GET", version_).http.Header("Location"), "/elsewhere");
  const Reply html = Key("GET", version_);
  EXPECT_EQ(html.text, "<html>");
  EXPECT_EQ(html.http.Header("Content-Type"), "text/html");
  EXPECT_EQ(Key("GET", version_).Inner(), "ForbiddenByFirewall");
  EXPECT_EQ(Key("GET", version_).body["error"], "Bad Request");
  EXPECT_EQ(Key("GET", version_).text, "");
}

TEST_F(FaultScriptTest, ARealAnswerIsAltered) {
  const json real = Key("GET", version_).body;
  Script({{{"operation", "get"},
           {"merge", {{"attributes", {{"recoverableDays", nullptr}}}}},
           {"headers", {{"WWW-Authenticate", "Bearer resource=\"x\""}}},
           {"zero_before_n", true},
           {"chunked", true}},
          {{"operation", "get"}, {"pad_base64", true}},
          {{"operation", "get"}, {"merge", {{"key", {{"kid", "https://evil/keys/k1/0"}}}}}}});
  const Reply altered = Key("GET", version_);
  ASSERT_EQ(altered.status, 200) << altered.text;
  EXPECT_FALSE(altered.body["attributes"].contains("recoverableDays"));
  EXPECT_EQ(altered.http.Header("WWW-Authenticate"), "Bearer resource=\"x\"");
  EXPECT_EQ(altered.http.Header("Transfer-Encoding"), "chunked");
  std::string n, with_zero;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(real["key"]["n"].get<std::string>(), &n));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(altered.body["key"]["n"].get<std::string>(), &with_zero));
  EXPECT_EQ(with_zero, std::string(1, '\0') + n);
  EXPECT_EQ(Key("GET", version_).body["key"]["n"], real["key"]["n"].get<std::string>() + "==");
  EXPECT_EQ(Key("GET", version_).body["key"]["kid"], "https://evil/keys/k1/0");
}

TEST_F(FaultScriptTest, AConnectionIsResetOrCutInTheMiddleOfAnAnswer) {
  // Without end: curl asks once more by itself when a connection that it reused is reset.
  for (const char* kind : {"reset", "truncate"}) {
    Script({{{"operation", "get"}, {"kind", kind}, {"count", -1}}});
    EXPECT_FALSE(Key("GET", version_).sent.ok()) << kind;
  }
  Script(json::array());
  EXPECT_EQ(Key("GET", version_).status, 200);
}

TEST_F(FaultScriptTest, AHangEndsWithTheClientsPatienceAndTheScript) {
  Script({{{"operation", "get"}, {"kind", "hang"}}});
  const Reply hung = Key("GET", version_, json::object(), absl::Milliseconds(300));
  EXPECT_FALSE(hung.sent.ok());
  EXPECT_THAT(std::string(hung.sent.message()), HasSubstr("timeout"));
  Script(json::array());
  EXPECT_EQ(Key("GET", version_).status, 200);
}

TEST_F(FaultScriptTest, AHangingCallDoesNotHoldUpTheEnd) {
  Script({{{"operation", "get"}, {"kind", "hang"}}});
  Key("GET", version_, json::object(), absl::Milliseconds(100));
  const absl::Time began = absl::Now();
  vault_.reset();
  EXPECT_LT(absl::Now() - began, absl::Seconds(60)) << "the hang alone would take ten minutes";
}

TEST_F(FaultScriptTest, AWrongScriptIsRefusedAndChangesNothing) {
  Script({{{"operation", "get"}, {"status", 500}}});
  for (const json& wrong : std::vector<json>{{{"stauts", 500}},
                                             {{"status", 99}},
                                             {{"kind", "explode"}},
                                             {{"path", "("}},
                                             {{"count", "two"}}}) {
    const Reply refused = Admin("POST", "faults", {{"faults", {wrong}}});
    EXPECT_EQ(refused.status, 400) << wrong;
  }
  EXPECT_EQ(Key("GET", version_).status, 500);
}

TEST_F(FaultScriptTest, TheAdminApiNeedsItsToken) {
  for (const char* path : {"faults", "clock", "stats", "calls", "identities"}) {
    const Reply refused = Send("GET", absl::StrCat(url_, "/_dev/", path), "",
                               {{"Authorization", "Bearer " + token_}});
    EXPECT_EQ(refused.status, 401) << path;
  }
}

TEST_F(FaultScriptTest, TheMostCallsAtOnceAreCounted) {
  Admin("DELETE", "stats");
  Script({{{"operation", "get"}, {"delay_ms", 500}, {"count", 3}}});
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([this] { EXPECT_EQ(Key("GET", version_).status, 200); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(Admin("GET", "calls").body["most_at_once"], 3);
  Admin("DELETE", "stats");
  EXPECT_EQ(Key("GET", version_).status, 200);
  EXPECT_EQ(Admin("GET", "calls").body["most_at_once"], 1);
}

TEST_F(FaultScriptTest, CallsAreLoggedWithTheirRequestIdAndCaller) {
  const int64_t since = Admin("GET", "calls").body["next"];
  Script({{{"operation", "get"}, {"status", 503}}});
  const std::pair<std::string, std::string> token{"Authorization", "Bearer " + token_};
  for (int i = 0; i < 2; ++i) {
    const Reply reply = Send("GET", url_ + version_ + "?api-version=7.4", "",
                             {token, {"x-ms-client-request-id", absl::StrCat("id-", i)}});
    EXPECT_EQ(reply.http.Header("x-ms-client-request-id"), absl::StrCat("id-", i));
  }
  const json calls = Admin("GET", absl::StrCat("calls?since=", since)).body["calls"];
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0]["status"], 503);
  EXPECT_EQ(calls[0]["fault"], true);
  EXPECT_EQ(calls[1]["client_request_id"], "id-1");
  EXPECT_EQ(calls[1]["caller"], "cmkstore-dev");
  EXPECT_EQ(calls[1]["path"], version_);
  EXPECT_EQ(calls.dump().find(token_), std::string::npos);
}

}  // namespace
}  // namespace cmkstore::dev_vault
