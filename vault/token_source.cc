#include "vault/token_source.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "vault/base_url.h"
#include "vault/client_credentials.h"
#include "vault/login_refusal.h"
#include "vault/managed_identity.h"

namespace cmkstore::vault {
namespace {

constexpr int64_t kMaxLifetimeSeconds = 7 * 24 * 3600;
constexpr size_t kMaxTokenBytes = 16'384;

int64_t AsInteger(const nlohmann::json& answer, const char* name) {
  const auto found = answer.find(name);
  if (found == answer.end()) return 0;
  int64_t value = 0;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (found->is_string() && absl::SimpleAtoi(found->get<std::string>(), &value)) return value;
  return 0;
}

// A token goes into a header: a control character in it would write headers of its own.
bool IsToken(absl::string_view token) {
  return !token.empty() && token.size() <= kMaxTokenBytes &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// What is given and cannot be right.
std::vector<Violation> FaultsOf(const IdentityOptions& options) {
  if (options.kind == IdentityOptions::Kind::kManagedIdentity) {
    if (IsBaseUrl(options.imds_url, "http://") || IsBaseUrl(options.imds_url, "https://")) {
      return {};
    }
    return {{"identity.imds_url", "must be http://HOST or https://HOST, perhaps with a port"}};
  }
  std::vector<Violation> faults;
  if (!IsBaseUrl(options.authority, "https://")) {
    faults.push_back({"identity.authority",
                      "must be https://HOST, perhaps with a port, and nothing else: secrets are "
                      "sent to it"});
  }
  if (!options.tenant_id.empty() && !IsHostName(options.tenant_id)) {
    faults.push_back(
        {"identity.tenant_id", "must be the GUID of an Entra tenant, or one of its domains"});
  }
  return faults;
}

std::vector<Violation> LacksOf(const IdentityOptions& options) {
  using Kind = IdentityOptions::Kind;
  std::vector<Violation> lacks;
  const auto need = [&](const std::string& value, absl::string_view option,
                        absl::string_view variable) {
    if (!value.empty()) return;
    const bool in_pod = options.kind == Kind::kWorkloadIdentity;
    lacks.push_back(
        {absl::StrCat("identity.", option),
         in_pod ? absl::StrCat("is needed, or ", variable,
                               " in the environment, as the workload identity "
                               "webhook of a pod sets it")
                : absl::StrCat("is needed for the kind ", options.kind == Kind::kClientSecret
                                                              ? "client-secret"
                                                              : "client-certificate")});
  };
  if (options.kind == Kind::kManagedIdentity) return lacks;
  need(options.tenant_id, "tenant_id", "AZURE_TENANT_ID");
  need(options.client_id, "client_id", "AZURE_CLIENT_ID");
  if (options.kind == Kind::kClientSecret) need(options.secret_file, "secret_file", "");
  if (options.kind == Kind::kClientCertificate) {
    need(options.certificate_file, "certificate_file", "");
  }
  if (options.kind == Kind::kWorkloadIdentity) {
    need(options.token_file, "token_file", "AZURE_FEDERATED_TOKEN_FILE");
  }
  return lacks;
}

void SetIfEmpty(std::string& field, const std::optional<std::string>& value) {
  if (field.empty() && value.has_value()) field = *value;
}

}  // namespace

absl::Status CheckGivenOfIdentity(const IdentityOptions& options) {
  const std::vector<Violation> faults = FaultsOf(options);
  return faults.empty() ? absl::OkStatus() : FieldsInvalid(faults);
}

absl::Status CheckIdentity(const IdentityOptions& options) {
  std::vector<Violation> problems = FaultsOf(options);
  for (Violation& lack : LacksOf(options)) problems.push_back(std::move(lack));
  return problems.empty() ? absl::OkStatus() : FieldsInvalid(std::move(problems));
}

IdentityOptions WithPodEnvironment(
    IdentityOptions options,
    const std::function<std::optional<std::string>(const char*)>& environment) {
  if (options.kind != IdentityOptions::Kind::kWorkloadIdentity) return options;
  SetIfEmpty(options.tenant_id, environment("AZURE_TENANT_ID"));
  SetIfEmpty(options.client_id, environment("AZURE_CLIENT_ID"));
  SetIfEmpty(options.token_file, environment("AZURE_FEDERATED_TOKEN_FILE"));
  if (options.authority == IdentityOptions().authority) options.authority.clear();
  SetIfEmpty(options.authority, environment("AZURE_AUTHORITY_HOST"));
  SetIfEmpty(options.authority, IdentityOptions().authority);
  return options;
}

absl::StatusOr<AccessToken> ParseTokenAnswer(const HttpResponse& response, absl::Time now) {
  if (response.status != 200) {
    return LoginRefused("the token endpoint", response);
  }
  if (!absl::StrContains(absl::AsciiStrToLower(response.Header("Content-Type")), "json")) {
    return VaultLoginFailed("the token endpoint did not answer with JSON");
  }
  const nlohmann::json answer = nlohmann::json::parse(response.body, nullptr, false);
  if (!answer.is_object() || !answer.contains("access_token") ||
      !answer["access_token"].is_string() || !IsToken(answer["access_token"].get<std::string>())) {
    return VaultLoginFailed("the token endpoint's answer has no access_token");
  }
  const int64_t lifetime = AsInteger(answer, "expires_in");
  if (lifetime <= 0) return VaultLoginFailed("the token endpoint's answer has no expires_in");
  return AccessToken{answer["access_token"].get<std::string>(),
                     now + absl::Seconds(std::min(lifetime, kMaxLifetimeSeconds))};
}

std::unique_ptr<TokenSource> MakeTokenSource(IdentityOptions options, HttpTransport& transport,
                                             Clock& clock, crypto::Random& random) {
  // AZURE_AUTHORITY_HOST is written with one.
  for (std::string* url : {&options.authority, &options.imds_url}) {
    *url = std::string(absl::StripSuffix(*url, "/"));
  }
  if (options.kind == IdentityOptions::Kind::kManagedIdentity) {
    return std::make_unique<ManagedIdentity>(std::move(options), transport, clock);
  }
  return std::make_unique<ClientCredentials>(std::move(options), transport, clock, random);
}

}  // namespace cmkstore::vault
