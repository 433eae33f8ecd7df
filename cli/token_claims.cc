#include "cli/token_claims.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"

namespace cmkstore::cli {

std::optional<TokenClaims> ReadClaims(absl::string_view token) {
  TokenClaims claims;
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  std::string text;
  if (parts.size() != 3 || !absl::WebSafeBase64Unescape(parts[1], &text)) return std::nullopt;
  const nlohmann::json payload = nlohmann::json::parse(text, nullptr, false);
  if (!payload.is_object()) return std::nullopt;
  const auto field = [&payload](const char* name) {
    const auto found = payload.find(name);
    return found != payload.end() && found->is_string() ? found->get<std::string>() : "";
  };
  claims.tenant = field("tid");
  claims.subject = field("oid").empty() ? field("sub") : field("oid");
  if (const auto roles = payload.find("roles"); roles != payload.end() && roles->is_array()) {
    for (const auto& role : *roles) {
      if (role.is_string()) claims.roles.push_back(role.get<std::string>());
    }
  }
  if (const auto exp = payload.find("exp"); exp != payload.end() && exp->is_number_integer()) {
    claims.expires = absl::FromUnixSeconds(exp->get<int64_t>());
  }
  return claims;
}

}  // namespace cmkstore::cli
