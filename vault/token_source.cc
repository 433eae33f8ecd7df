#include "vault/token_source.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
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

void SetIfEmpty(std::string& field, const std::optional<std::string>& value) {
  if (field.empty() && value.has_value()) field = *value;
}

}  // namespace

absl::Status CheckIdentity(const IdentityOptions& options) {
  using Kind = IdentityOptions::Kind;
  if (options.kind == Kind::kManagedIdentity) {
    return absl::StartsWith(options.imds_url, "http://") ||
                   absl::StartsWith(options.imds_url, "https://")
               ? absl::OkStatus()
               : FieldInvalid("identity.imds_url", "must be an http or https URL");
  }
  if (!absl::StartsWith(options.authority, "https://")) {
    return FieldInvalid("identity.authority", "must be an https URL: secrets are sent to it");
  }
  if (options.tenant_id.empty()) return FieldInvalid("identity.tenant_id", "is needed");
  if (options.client_id.empty()) return FieldInvalid("identity.client_id", "is needed");
  const auto needs = [](const std::string& file, absl::string_view field) {
    return file.empty() ? FieldInvalid(field, "is needed") : absl::OkStatus();
  };
  if (options.kind == Kind::kClientSecret) {
    return needs(options.secret_file, "identity.secret_file");
  }
  if (options.kind == Kind::kClientCertificate) {
    return needs(options.certificate_file, "identity.certificate_file");
  }
  return needs(options.token_file, "identity.token_file");
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
  options.authority = std::string(absl::StripSuffix(options.authority, "/"));
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
  if (options.kind == IdentityOptions::Kind::kManagedIdentity) {
    return std::make_unique<ManagedIdentity>(std::move(options), transport, clock);
  }
  return std::make_unique<ClientCredentials>(std::move(options), transport, clock, random);
}

}  // namespace cmkstore::vault
