#include "vault/token_source.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::vault {
namespace {

constexpr absl::string_view kAssertionType =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

std::string UrlEncode(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      absl::StrAppend(&out, "%", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return out;
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path, absl::string_view what) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  std::string secret(absl::StripAsciiWhitespace(content.str()));
  if (!file || secret.empty()) {
    return VaultLoginFailed(absl::StrCat("the ", what, " file cannot be read or is empty"));
  }
  return secret;
}

int64_t AsInteger(const nlohmann::json& answer, const char* name) {
  const auto found = answer.find(name);
  if (found == answer.end()) return 0;
  int64_t value = 0;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (found->is_string() && absl::SimpleAtoi(found->get<std::string>(), &value)) return value;
  return 0;
}

// OAuth 2.0 client credentials with a secret or with a federated assertion.
class ClientCredentials final : public TokenSource {
 public:
  ClientCredentials(IdentityOptions options, HttpTransport& transport, Clock& clock)
      : options_(std::move(options)), transport_(transport), clock_(clock) {}

  absl::StatusOr<AccessToken> Fetch(const std::string& resource, absl::Time deadline) override {
    HttpRequest request;
    request.method = "POST";
    // The authority comes from our configuration, never from a vault's challenge: an assertion sent
    // to a host that a challenge names would be a gift to it.
    request.url = absl::StrCat(options_.authority, "/", options_.tenant_id, "/oauth2/v2.0/token");
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body =
        absl::StrCat("grant_type=client_credentials&client_id=", UrlEncode(options_.client_id),
                     "&scope=", UrlEncode(absl::StrCat(resource, "/.default")));
    if (options_.kind == IdentityOptions::Kind::kClientSecret) {
      CMK_ASSIGN_OR_RETURN(std::string secret,
                           ReadSecretFile(options_.secret_file, "client secret"));
      absl::StrAppend(&request.body, "&client_secret=", UrlEncode(secret));
    } else {
      CMK_ASSIGN_OR_RETURN(std::string assertion,
                           ReadSecretFile(options_.token_file, "federated token"));
      absl::StrAppend(&request.body, "&client_assertion_type=", UrlEncode(kAssertionType),
                      "&client_assertion=", UrlEncode(assertion));
    }
    absl::StatusOr<HttpResponse> response = transport_.Send(request, deadline);
    if (!response.ok()) return VaultLoginFailed(response.status().message());
    return ParseTokenAnswer(*response, clock_.WallNow());
  }

 private:
  const IdentityOptions options_;
  HttpTransport& transport_;
  Clock& clock_;
};

// Azure's instance metadata service.
class ManagedIdentity final : public TokenSource {
 public:
  ManagedIdentity(IdentityOptions options, HttpTransport& transport, Clock& clock)
      : options_(std::move(options)), transport_(transport), clock_(clock) {}

  absl::StatusOr<AccessToken> Fetch(const std::string& resource, absl::Time deadline) override {
    HttpRequest request;
    request.url = absl::StrCat(
        options_.imds_url,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=", UrlEncode(resource));
    if (!options_.client_id.empty()) {
      absl::StrAppend(&request.url, "&client_id=", UrlEncode(options_.client_id));
    }
    request.headers = {{"Metadata", "true"}};
    absl::StatusOr<HttpResponse> response = transport_.Send(request, deadline);
    if (!response.ok()) return VaultLoginFailed(response.status().message());
    return ParseTokenAnswer(*response, clock_.WallNow());
  }

 private:
  const IdentityOptions options_;
  HttpTransport& transport_;
  Clock& clock_;
};

}  // namespace

absl::StatusOr<AccessToken> ParseTokenAnswer(const HttpResponse& response, absl::Time now) {
  if (response.status != 200) {
    return VaultLoginFailed(absl::StrCat("the token endpoint answered ", response.status));
  }
  if (!absl::StrContains(absl::AsciiStrToLower(response.Header("Content-Type")), "json")) {
    return VaultLoginFailed("the token endpoint did not answer with JSON");
  }
  const nlohmann::json answer = nlohmann::json::parse(response.body, nullptr, false);
  if (!answer.is_object() || !answer.contains("access_token") ||
      !answer["access_token"].is_string()) {
    return VaultLoginFailed("the token endpoint's answer has no access_token");
  }
  const int64_t lifetime = AsInteger(answer, "expires_in");
  if (lifetime <= 0) return VaultLoginFailed("the token endpoint's answer has no expires_in");
  return AccessToken{answer["access_token"].get<std::string>(), now + absl::Seconds(lifetime)};
}

std::unique_ptr<TokenSource> MakeTokenSource(IdentityOptions options, HttpTransport& transport,
                                             Clock& clock) {
  if (options.kind == IdentityOptions::Kind::kManagedIdentity) {
    return std::make_unique<ManagedIdentity>(std::move(options), transport, clock);
  }
  return std::make_unique<ClientCredentials>(std::move(options), transport, clock);
}

}  // namespace cmkstore::vault
