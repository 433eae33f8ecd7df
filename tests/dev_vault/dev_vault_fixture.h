#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/curl_transport.h"
#include "base/file.h"
#include "tests/testing/kept_keys.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::dev_vault {

using nlohmann::json;

// What came back over the wire.
struct Reply {
  absl::Status sent;  // not OK: no answer came
  int status = 0;
  json body;
  std::string text;
  HttpResponse http;

  std::string Error(const char* field) const { return Find(body, {"error", field}); }
  std::string Inner() const { return Find(body, {"error", "innererror", "code"}); }

 private:
  static std::string Find(json at, std::initializer_list<const char*> path) {
    for (const char* step : path) {
      if (!at.is_object() || !at.contains(step)) return "";
      at = json(at[step]);
    }
    return at.is_string() ? at.get<std::string>() : at.dump();
  }
};

// A dev vault of its own for each test, called over real HTTPS.
class DevVaultTest : public ::testing::Test {
 protected:
  DevVaultTest() {
    options_.state_dir = dir_.path() + "/vault";
    testing::PlaceVaultKeys(options_.state_dir);
    Start();
  }

  void Start() {
    vault_.reset();
    auto started = DevVault::Start(options_, clock_);
    ASSERT_TRUE(started.ok()) << started.status();
    vault_ = std::move(*started);
    const DevVaultEndpoints& at = vault_->endpoints();
    const std::string port = at.url.substr(at.url.rfind(':') + 1);
    std::vector<std::string> connect_to;
    for (const char* host : {"kv1.vault.azure.net", "hsm1.managedhsm.azure.net"}) {
      connect_to.push_back(absl::StrCat(host, ":443:localhost:", port));
    }
    transport_ = std::make_unique<CurlTransport>(
        CurlTransportOptions{.ca_file = at.ca_file, .connect_to = connect_to});
    url_ = at.url;
    token_ = Token("https://vault.azure.net");
  }

  Reply Send(const std::string& method, const std::string& url, const std::string& body,
             std::vector<std::pair<std::string, std::string>> headers,
             absl::Duration timeout = absl::Seconds(100)) {
    Reply reply;
    auto response =
        transport_->Send({method, url, std::move(headers), body}, absl::Now() + timeout);
    reply.sent = response.status();
    if (!response.ok()) return reply;
    reply.status = response->status;
    reply.text = response->body;
    reply.body = json::parse(response->body, nullptr, false);
    reply.http = *response;
    return reply;
  }

  // A call on keys with the test's token.
  Reply Key(const std::string& method, const std::string& path, const json& body = json::object(),
            absl::Duration timeout = absl::Seconds(100)) {
    return Send(method, absl::StrCat(url_, path, "?api-version=7.4"), body.dump(),
                {{"Authorization", "Bearer " + token_}, {"Content-Type", "application/json"}},
                timeout);
  }
  Reply Operate(const std::string& path, const std::string& value,
                const std::string& algorithm = "RSA-OAEP-256") {
    return Key("POST", path, {{"alg", algorithm}, {"value", value}});
  }
  Reply Admin(const std::string& method, const std::string& path,
              const json& body = json::object()) {
    return Send(method, absl::StrCat(vault_->endpoints().url, "/_dev/", path), body.dump(),
                {{"Authorization", "Bearer " + *ReadFile(vault_->endpoints().admin_token_file)}});
  }
  void Script(const json& faults) {
    EXPECT_EQ(Admin("POST", "faults", {{"faults", faults}}).status, 200);
  }
  void SetVault(const json& settings, const std::string& name = "localhost") {
    const Reply reply = Admin("PUT", "vaults/" + name, settings);
    EXPECT_EQ(reply.status, 200) << reply.text;
  }

  Reply TokenRequest(const std::string& form) {
    const DevVaultEndpoints& at = vault_->endpoints();
    return Send("POST", absl::StrCat(at.authority, "/", at.tenant_id, "/oauth2/v2.0/token"), form,
                {{"Content-Type", "application/x-www-form-urlencoded"}});
  }
  std::string Token(const std::string& resource, const std::string& client = "cmkstore-dev",
                    const std::string& secret = "") {
    const Reply reply = TokenRequest(
        absl::StrCat("grant_type=client_credentials&client_id=", client, "&scope=", resource,
                     "/.default&client_secret=",
                     secret.empty() ? *ReadFile(vault_->endpoints().secret_file) : secret));
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply.status == 200 ? reply.body["access_token"].get<std::string>() : "";
  }

  // Makes a key and gives "/keys/NAME/VERSION".
  std::string Create(const std::string& name, json extra = json::object()) {
    extra["kty"] = extra.value("kty", "RSA");
    const Reply reply = Key("POST", absl::StrCat("/keys/", name, "/create"), extra);
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply.status == 200 ? PathOf(reply.body["key"]["kid"]) : "";
  }
  std::string PathOf(const std::string& kid) { return kid.substr(kid.find("/keys/")); }
  std::string Wrapped(const std::string& path) {
    const Reply reply = Operate(path + "/wrapkey", kDek);
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply.status == 200 ? reply.body["value"].get<std::string>() : "";
  }
  void Patch(const std::string& path, const json& attributes) {
    const Reply reply = Key("PATCH", path, {{"attributes", attributes}});
    EXPECT_EQ(reply.status, 200) << reply.text;
  }

  // 32 bytes.
  static constexpr char kDek[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

  testing::TempDir dir_;
  SystemClock clock_;
  DevVaultOptions options_;
  std::unique_ptr<DevVault> vault_;
  std::unique_ptr<CurlTransport> transport_;
  std::string url_;
  std::string token_;
};

}  // namespace cmkstore::dev_vault
