// What the log says of vault calls: everything that joins them with ours and with the vault's own
// log, and nothing that is secret.

#include <nlohmann/json.hpp>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

using nlohmann::json;
using Kind = vault::IdentityOptions::Kind;

class VaultLogTest : public ServedHub {
 protected:
  // The fixture's vault anew, with a certificate for its first client.
  VaultLogTest() {
    SetLogLevel(LogLevel::kTrace);
    dev_vault::DevVaultOptions options;
    options.client_certificate = true;
    StartVault(options);
    StartServer();
  }
  ~VaultLogTest() override { SetLogLevel(LogLevel::kInfo); }

  void Adjust(service::ServerOptions& options) override {
    vault::IdentityOptions& identity = options.identities[0].second;
    identity.kind = kind_;
    identity.certificate_file = vault_->endpoints().certificate_file;
    identity.token_file = vault_->endpoints().federated_token_file;
    identity.imds_url = vault_->endpoints().imds_url;
    if (kind_ == Kind::kManagedIdentity) identity.client_id.clear();
    if (!secret_file_.empty()) identity.secret_file = secret_file_;
  }
  std::string Log() { return *ReadFile(dir_.path() + "/log.jsonl"); }
  std::vector<json> VaultCalls() {
    std::vector<json> calls;
    for (absl::string_view line : absl::StrSplit(Log(), '\n')) {
      json entry = json::parse(line, nullptr, false);
      if (entry.is_object() && entry.value("event", "") == "vault_call") {
        calls.push_back(std::move(entry));
      }
    }
    return calls;
  }
  static std::string RequestIdOf(const grpc::Status& refused) {
    google::rpc::Status wire;
    EXPECT_TRUE(wire.ParseFromString(refused.error_details()));
    google::rpc::RequestInfo info;
    for (const auto& detail : wire.details()) {
      if (detail.UnpackTo(&info)) break;
    }
    return info.request_id();
  }
  // What the vault has seen since `since`, each found once in our log.
  std::vector<json> JoinedCalls(int64_t since) {
    const json seen = owner_->Admin("GET", absl::StrCat("calls?since=", since))["calls"];
    std::vector<json> joined;
    for (const json& theirs : seen) {
      if (theirs["client_request_id"] == "") continue;  // its owner's and the directory's
      int found = 0;
      for (json& ours : VaultCalls()) {
        if (ours["vault_request_id"] != theirs["client_request_id"]) continue;
        joined.push_back(std::move(ours));
        ++found;
      }
      EXPECT_EQ(found, 1) << theirs;
    }
    return joined;
  }
  // Every way in which a key, a token or a document passes through the server.
  void UseEverything() {
    ASSERT_EQ(ReasonOf(Put("d1", R"({"word": "canary-content"})")), "OK");
    ASSERT_EQ(ReasonOf(Get("d1")), "OK");
    v1::SearchRequest search;
    search.set_parent(kHub);
    search.set_query("canary");
    v1::SearchResponse hits;
    ASSERT_EQ(ReasonOf(search_->Search(As("reader").get(), search, &hits)), "OK");
    v1::CheckKeyRequest check;
    check.set_parent(kHub);
    v1::CheckKeyResponse checks;
    ASSERT_EQ(ReasonOf(keys_->CheckKey(As("key_admin").get(), check, &checks)), "OK");
    v1::RotateDekRequest rotate;
    rotate.set_name(kHub);
    google::longrunning::Operation operation;
    ASSERT_EQ(ReasonOf(keys_->RotateDek(As("key_admin").get(), rotate, &operation)), "OK");
    SetKeyEnabled(false);
    AwaitReason("CUSTOMER_KEY_REVOKED");
    SetKeyEnabled(true);
    AwaitReason("OK");
    owner_->Script({{{"operation", "unwrapkey"}, {"status", 401}, {"count", -1}}});
    StartServer();
    EXPECT_NE(ReasonOf(Get("d1")), "OK");
    owner_->Script(json::array());
    AwaitReason("OK");
  }
  void ExpectNothingSecret() {
    const std::string log = Log();
    const dev_vault::DevVaultEndpoints& vault = vault_->endpoints();
    EXPECT_GE(VaultCalls().size(), 10u) << "the log must be at its most talkative";
    EXPECT_EQ(log.find("Bearer"), std::string::npos);
    EXPECT_EQ(log.find("eyJ"), std::string::npos) << "a token begins so";
    EXPECT_EQ(log.find("canary"), std::string::npos);
    EXPECT_EQ(log.find(*ReadFile(vault.secret_file)), std::string::npos);
    EXPECT_EQ(log.find("PRIVATE KEY"), std::string::npos);
    // 32 bytes of a key have at least 43 characters in base64 and 64 in hex.
    std::smatch found;
    EXPECT_FALSE(std::regex_search(log, found, std::regex("[A-Za-z0-9+_-]{43}"))) << found.str();
    for (const char c : log) {
      ASSERT_TRUE(c == '\n' || absl::ascii_isprint(static_cast<unsigned char>(c)))
          << "bytes in the log";
    }
    EXPECT_EQ(log.find("\\u00"), std::string::npos) << "bytes in the log";
  }

  Kind kind_ = Kind::kClientSecret;
  std::string secret_file_;  // empty: the right one
};

TEST_F(VaultLogTest, AtTraceLevelNoTokenKeyOrDocumentIsInItWhateverTheLogin) {
  SetUpHub();
  const json before = owner_->Admin("GET", "stats");
  for (const Kind kind : {Kind::kClientSecret, Kind::kClientCertificate, Kind::kWorkloadIdentity,
                          Kind::kManagedIdentity}) {
    kind_ = kind;
    StartServer();
    UseEverything();
  }
  const json after = owner_->Admin("GET", "stats");
  EXPECT_GE(after.value("token", 0) - before.value("token", 0), 3) << "a login of each kind";
  EXPECT_GE(after.value("imds", 0) - before.value("imds", 0), 1);
  ExpectNothingSecret();
}

TEST_F(VaultLogTest, WhyOurLoginFailedIsInTheLogAndNotToldToTheTenant) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  secret_file_ = dir_.path() + "/wrong.secret";
  ASSERT_TRUE(WriteFileDurably(secret_file_, "wrong"));
  StartServer();  // without a key or a token
  const grpc::Status failed = Get("d1");
  EXPECT_EQ(ReasonOf(failed), "VAULT_LOGIN_FAILED");
  EXPECT_NE(Log().find("\"answer\":\"invalid_client 7000215\""), std::string::npos);
  EXPECT_EQ(Log().find("AADSTS"), std::string::npos) << "its description";
  for (const char* word : {"7000215", "invalid_client"}) {
    EXPECT_EQ(failed.error_message().find(word), std::string::npos);
    EXPECT_EQ(failed.error_details().find(word), std::string::npos);
  }
}

TEST_F(VaultLogTest, ACallIsJoinedWithTheRequestThatMadeItAndWithTheVaultsOwnLog) {
  const int64_t since = owner_->Admin("GET", "calls?since=999999999")["next"];
  const grpc::Status refused = CreateHub(nullptr, "absent");
  ASSERT_EQ(ReasonOf(refused), "CUSTOMER_KEY_UNFIT");
  const std::string request_id = RequestIdOf(refused);
  ASSERT_FALSE(request_id.empty());
  const std::vector<json> calls = JoinedCalls(since);
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls[0]["operation"], "directory") << "the call that asks whose vault it is";
  EXPECT_EQ(calls[0]["status"], "401");
  EXPECT_EQ(calls[0]["request_id"], request_id);
  for (const json& call : std::vector<json>(calls.begin() + 1, calls.end())) {
    EXPECT_EQ(call["request_id"], request_id);
    EXPECT_EQ(call["operation"], "describe");
    EXPECT_EQ(call["status"], "404");
    EXPECT_EQ(call["answered_request_id"].get<std::string>().size(), 32u) << "the vault's own";
  }
}

TEST_F(VaultLogTest, AVaultsRequestIdIsLoggedIfItIsOneAndNoOtherWordOfIt) {
  owner_->Script({{{"operation", "get"},
                   {"status", 403},
                   {"headers", {{"x-ms-request-id", "a-word-of-the-vaults"}}}}});
  ASSERT_NE(ReasonOf(CreateHub(nullptr, "absent")), "OK");
  EXPECT_EQ(Log().find("a-word-of-the-vaults"), std::string::npos);
  EXPECT_NE(Log().find("\"answered_request_id\":\"\""), std::string::npos);
}

TEST_F(VaultLogTest, TheCallThatARequestFailedForIsInTheLogAtItsUsualLevel) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  SetKeyEnabled(false);
  StartServer();  // without the key: the next read asks the vault for it
  SetLogLevel(LogLevel::kInfo);
  const grpc::Status refused = Get("d1");
  ASSERT_EQ(ReasonOf(refused), "CUSTOMER_KEY_REVOKED");
  int found = 0;
  for (const json& call : VaultCalls()) {
    if (call["request_id"] != RequestIdOf(refused)) continue;
    EXPECT_EQ(call["operation"], "unwrap");
    EXPECT_EQ(call["status"], "403");
    ++found;
  }
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace cmkstore
