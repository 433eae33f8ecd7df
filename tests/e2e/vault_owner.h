#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/curl_transport.h"
#include "base/file.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore {

// The tenant's own hands on its vault.
class VaultOwner {
 public:
  // Told in a sentence what the vault did not do; what it answered is then empty.
  using Fail = std::function<void(const std::string& why)>;

  explicit VaultOwner(
      const dev_vault::DevVaultEndpoints& vault,
      Fail fail = [](const std::string& why) { ADD_FAILURE() << why; })
      : vault_(vault),
        fail_(std::move(fail)),
        transport_({.ca_file = vault.ca_file, .connect_to = {}}) {
    const HttpResponse answer = Send(
        "POST", absl::StrCat(vault.url, "/", vault.tenant_id, "/oauth2/v2.0/token"),
        absl::StrCat(
            "grant_type=client_credentials&client_id=", vault.client_id,
            "&scope=https://vault.azure.net/.default&client_secret=", *ReadFile(vault.secret_file)),
        "application/x-www-form-urlencoded");
    token_ = Object(answer).value("access_token", "");
  }

  HttpResponse Key(const std::string& method, const std::string& path, const nlohmann::json& body) {
    return KeyIn(vault_.url, method, path, body);
  }
  // The same in another vault of that process: "https://kv1.vault.localhost:PORT".
  HttpResponse KeyIn(const std::string& vault_url, const std::string& method,
                     const std::string& path, const nlohmann::json& body) {
    return Send(method, absl::StrCat(vault_url, path, "?api-version=7.4"), body.dump(),
                "application/json");
  }
  // The admin API of docs/devvault.md: `path` after /_dev/.
  nlohmann::json Admin(const std::string& method, const std::string& path,
                       const nlohmann::json& body = nlohmann::json::object()) {
    HttpRequest request{method, absl::StrCat(vault_.url, "/_dev/", path), {}, body.dump()};
    request.headers = {{"Authorization", "Bearer " + *ReadFile(vault_.admin_token_file)},
                       {"Content-Type", "application/json"}};
    const HttpResponse response = Send(std::move(request));
    if (response.status != 200) fail_(absl::StrCat("the vault refuses: ", response.body));
    return Object(response);
  }
  // What the owner of one vault sets: "access", "denied", "firewall".
  void SetVault(const std::string& vault_url, const nlohmann::json& settings) {
    const std::string host = vault_url.substr(std::string("https://").size());
    Admin("PUT", absl::StrCat("vaults/", host.substr(0, host.find(':'))), settings);
  }
  // Replaces the scripted faults; {} ends them.
  void Script(const nlohmann::json& faults) { Admin("POST", "faults", {{"faults", faults}}); }
  int UnwrapCalls() { return Admin("GET", "stats").value("unwrapkey", 0); }

 private:
  // A key of RSA takes its time on a machine that is busy with other things.
  static constexpr absl::Duration kPatience = absl::Minutes(5);

  static nlohmann::json Object(const HttpResponse& response) {
    nlohmann::json parsed = nlohmann::json::parse(response.body, nullptr, false);
    return parsed.is_object() ? parsed : nlohmann::json::object();
  }

  HttpResponse Send(const std::string& method, const std::string& url, const std::string& body,
                    const std::string& content_type) {
    HttpRequest request{method, url, {{"Content-Type", content_type}}, body};
    if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
    return Send(std::move(request));
  }
  HttpResponse Send(HttpRequest request) {
    absl::StatusOr<HttpResponse> response = transport_.Send(request, absl::Now() + kPatience);
    if (response.ok()) return *std::move(response);
    fail_(absl::StrCat("the local vault does not answer ", request.method, " ", request.url, ": ",
                       response.status().message()));
    return HttpResponse();
  }

  const dev_vault::DevVaultEndpoints vault_;
  const Fail fail_;
  CurlTransport transport_;
  std::string token_;
};

}  // namespace cmkstore
