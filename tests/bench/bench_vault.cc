#include "tests/bench/bench_vault.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace cmkstore::bench {
namespace {

using nlohmann::json;

constexpr absl::Duration kPatience = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<BenchVault>> BenchVault::Start(const std::string& program,
                                                              const std::string& directory) {
  std::unique_ptr<BenchVault> vault(new BenchVault());
  const std::string ready_file = directory + "/ready.json";
  CMK_ASSIGN_OR_RETURN(vault->process_, ChildProcess::Start({program, "--state-dir", directory},
                                                            directory + ".log", ready_file));
  const json ready = json::parse(*ReadFile(ready_file));
  vault->url_ = ready["url"];
  vault->authority_ = ready["authority"];
  vault->tenant_ = ready["tenant_id"];
  vault->client_id_ = ready["client_id"];
  vault->ca_file_ = ready["ca_file"];
  vault->secret_file_ = ready["secret_file"];
  vault->admin_token_ = ReadFile(std::string(ready["admin_token_file"])).value_or("");
  vault->transport_ =
      std::make_unique<CurlTransport>(CurlTransportOptions{vault->ca_file_, /*connect_to=*/{}});

  HttpRequest login{"POST",
                    absl::StrCat(vault->authority_, "/", vault->tenant_, "/oauth2/v2.0/token"),
                    {{"Content-Type", "application/x-www-form-urlencoded"}},
                    absl::StrCat("grant_type=client_credentials&client_id=", vault->client_id_,
                                 "&scope=https://vault.azure.net/.default&client_secret=",
                                 ReadFile(vault->secret_file_).value_or(""))};
  CMK_ASSIGN_OR_RETURN(const HttpResponse answer, vault->Send(login));
  const std::string token = json::parse(answer.body)["access_token"];
  HttpRequest create{"POST",
                     vault->url_ + "/keys/hub-key/create?api-version=7.4",
                     {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token}},
                     R"({"kty": "RSA", "key_size": 2048})"};
  CMK_RETURN_IF_ERROR(vault->Send(create).status());
  return vault;
}

absl::StatusOr<HttpResponse> BenchVault::Send(const HttpRequest& request) {
  CMK_ASSIGN_OR_RETURN(HttpResponse answer, transport_->Send(request, absl::Now() + kPatience));
  if (answer.status == 200) return answer;
  return absl::InternalError(absl::StrCat("the vault answers ", answer.status));
}

std::vector<std::string> BenchVault::ServerFlags() const {
  return {"--vault-host",
          url_.substr(std::string("https://").size()),
          "--vault-ca",
          ca_file_,
          "--identity",
          "client-secret",
          "--authority",
          authority_,
          "--identity-tenant",
          tenant_,
          "--identity-client",
          client_id_,
          "--identity-secret-file",
          secret_file_};
}

absl::StatusOr<int64_t> BenchVault::Calls() {
  HttpRequest request{
      "GET", url_ + "/_dev/stats", {{"Authorization", "Bearer " + admin_token_}}, ""};
  CMK_ASSIGN_OR_RETURN(const HttpResponse answer, Send(request));
  const json counts = json::parse(answer.body);
  int64_t calls = 0;
  for (const char* kind : {"get", "wrapkey", "unwrapkey"}) calls += counts.value(kind, 0);
  return calls;
}

}  // namespace cmkstore::bench
