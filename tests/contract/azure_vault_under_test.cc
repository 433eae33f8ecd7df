#include "tests/contract/azure_vault_under_test.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::contract {
namespace {

using nlohmann::json;

constexpr absl::Duration kDoneWithin = absl::Minutes(1);
constexpr absl::Duration kLook = absl::Seconds(1);
constexpr char kBadIdentity[] = "nobody";

class FixedToken final : public vault::TokenSource {
 public:
  explicit FixedToken(std::string token) : token_(std::move(token)) {}
  absl::StatusOr<vault::AccessToken> Fetch(const vault::TokenRequest&, absl::Time) override {
    return vault::AccessToken{token_, absl::InfiniteFuture()};
  }

 private:
  const std::string token_;
};

CurlTransportOptions TransportFor(const AzureVaultOptions& options) {
  CurlTransportOptions transport;
  transport.ca_file = options.ca_file;
  if (!options.connect_to.empty()) {
    const std::string host(vault::HostOf(options.url));
    const std::string from = absl::StrContains(host, ':') ? host : host + ":443";
    transport.connect_to = {absl::StrCat(from, ":", options.connect_to)};
  }
  return transport;
}

vault::VaultAddressPolicy PolicyFor(const AzureVaultOptions& options) {
  vault::VaultAddressPolicy policy;
  if (!vault::CheckVaultUri(policy, options.url).ok()) {
    policy.allowed_hosts = {std::string(vault::HostOf(options.url))};
  }
  if (options.managed_hsm) policy.development_resource = "https://managedhsm.azure.net";
  return policy;
}

}  // namespace

absl::Status CheckAzureVaultOptions(const AzureVaultOptions& options) {
  constexpr absl::string_view kScheme = "https://";
  if (!absl::StartsWith(options.url, kScheme)) {
    return FieldInvalid("CMKSTORE_CONTRACT_VAULT",
                        "must be https://HOST: a bearer token is sent to it");
  }
  const absl::string_view host = vault::HostOf(options.url);
  if (host.empty() || host.find_first_of("/?#@\\") != absl::string_view::npos) {
    return FieldInvalid("CMKSTORE_CONTRACT_VAULT",
                        "must be https://HOST or https://HOST:PORT, and nothing else");
  }
  return options.identity == nullptr ? absl::OkStatus() : vault::CheckIdentity(*options.identity);
}

bool LooksLikeManagedHsm(absl::string_view url) { return absl::StrContains(url, ".managedhsm."); }

AzureVaultUnderTest::AzureVaultUnderTest(AzureVaultOptions options)
    : options_(std::move(options)),
      transport_(TransportFor(options_)),
      addresses_(PolicyFor(options_)),
      identities_(clock_),
      azure_(addresses_, transport_, identities_, clock_, random_) {
  identities_.Add("",
                  options_.identity == nullptr
                      ? std::make_unique<FixedToken>("e30.e30.e30")
                      : vault::MakeTokenSource(*options_.identity, transport_, clock_, random_));
  identities_.Add(kBadIdentity, std::make_unique<FixedToken>("eyJhbGciOiJub25lIn0.e30.e30"));
}

absl::StatusOr<HttpResponse> AzureVaultUnderTest::Send(const std::string& method,
                                                       const std::string& path,
                                                       const std::string& body) {
  const absl::Time deadline = absl::Now() + call_time();
  CMK_ASSIGN_OR_RETURN(
      const std::string token,
      identities_.Token({"", "", vault::ResourceOf(addresses_, options_.url)}, deadline));
  HttpRequest request{
      method,
      absl::StrCat(options_.url, path, "?api-version=7.4"),
      {{"Authorization", absl::StrCat("Bearer ", token)}, {"Content-Type", "application/json"}},
      body};
  return transport_.Send(request, deadline);
}

absl::Status AzureVaultUnderTest::Expect(int status, const std::string& method,
                                         const std::string& path, const std::string& body) {
  CMK_ASSIGN_OR_RETURN(const HttpResponse response, Send(method, path, body));
  if (response.status == status) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat(method, " ", path, " answered ", response.status, " ",
                                         response.body.substr(0, 200)));
}

absl::Status AzureVaultUnderTest::MakeKey(const std::string& name, const KeyKind& kind) {
  if (kind.symmetric && !options_.managed_hsm) {
    return absl::UnimplementedError("only managed HSMs have AES keys");
  }
  const char* const type = kind.symmetric ? "oct-HSM" : options_.managed_hsm ? "RSA-HSM" : "RSA";
  CMK_ASSIGN_OR_RETURN(
      const HttpResponse response,
      Send("POST", absl::StrCat("/keys/", name, "/create"),
           json{{"kty", type}, {"key_size", kind.bits}, {"key_ops", {"wrapKey", "unwrapKey"}}}
               .dump()));
  const json answer = json::parse(response.body, nullptr, false);
  const json::json_pointer kid("/key/kid");
  if (response.status != 200 || !answer.contains(kid) || !answer[kid].is_string()) {
    return absl::UnknownError(
        absl::StrCat("create answered ", response.status, " ", response.body.substr(0, 200)));
  }
  versions_[name] = vault::VersionOf(answer[kid].get<std::string>());
  return absl::OkStatus();
}

absl::Status AzureVaultUnderTest::Change(const std::string& name, const KeyChange& change) {
  json attributes = json::object();
  if (change.enabled) attributes["enabled"] = *change.enabled;
  if (change.not_before) attributes["nbf"] = absl::ToUnixSeconds(*change.not_before);
  if (change.expires) attributes["exp"] = absl::ToUnixSeconds(*change.expires);
  json body = {{"attributes", attributes}};
  if (change.operations) body["key_ops"] = *change.operations;
  // The version is named, as some servers change nothing without it.
  return Expect(200, "PATCH", absl::StrCat("/keys/", name, "/", versions_[name]), body.dump());
}

// Deletion and recovery go on in the background at Azure: repeats the call until it is answered so.
absl::Status AzureVaultUnderTest::Await(int status, const std::string& method,
                                        const std::string& path, const std::string& body) {
  const absl::Time give_up = absl::Now() + kDoneWithin;
  for (;;) {
    const absl::Status answered = Expect(status, method, path, body);
    if (answered.ok() || absl::Now() >= give_up) return answered;
    absl::SleepFor(kLook);
  }
}

absl::Status AzureVaultUnderTest::Delete(const std::string& name) {
  CMK_RETURN_IF_ERROR(Expect(200, "DELETE", absl::StrCat("/keys/", name), ""));
  return Await(404, "GET", absl::StrCat("/keys/", name), "");
}

absl::Status AzureVaultUnderTest::Recover(const std::string& name) {
  CMK_RETURN_IF_ERROR(Await(200, "POST", absl::StrCat("/deletedkeys/", name, "/recover"), "{}"));
  return Await(200, "GET", absl::StrCat("/keys/", name), "");
}

absl::StatusOr<std::string> AzureVaultUnderTest::AskWithoutToken(const std::string& name) {
  HttpRequest request;
  request.url = absl::StrCat(options_.url, "/keys/", name, "?api-version=7.4");
  CMK_ASSIGN_OR_RETURN(const HttpResponse response,
                       transport_.Send(request, absl::Now() + call_time()));
  const bool challenge = !vault::ChallengeResource(response.Header("WWW-Authenticate")).empty();
  return absl::StrCat(response.status, challenge ? " with a challenge" : " without a challenge");
}

absl::Status AzureVaultUnderTest::DescribeWithBadToken(const std::string& name) {
  return azure_.Describe({options_.url, name, "", kBadIdentity}, absl::Now() + call_time())
      .status();
}

}  // namespace cmkstore::contract
