#include "vault/dev_vault/token_api.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/ids.h"
#include "vault/dev_vault/client_assertion.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr char kAssertionType[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

Answer Json(const std::string& body) {
  Answer answer;
  answer.body = body;
  return answer;
}

// {"error","error_description","error_codes"}, as Entra ID says it.
Answer OAuthError(int status, const std::string& error, const std::string& description) {
  Answer answer;
  answer.status = status;
  json body = {{"error", error}, {"error_description", description}};
  const std::string code = description.substr(0, description.find(':'));
  if (absl::StartsWith(code, "AADSTS"))
    body["error_codes"] = json::array({std::stoi(code.substr(6))});
  answer.body = body.dump();
  return answer;
}

bool SameSecret(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

Answer TokenAnswer(const TokenIssuer& issuer, const Identity& identity, const std::string& audience,
                   const std::string& directory) {
  const TokenIssuer::Token token = issuer.Mint(identity, audience, directory);
  Answer answer = Json(json{
      {"token_type", "Bearer"},
      {"expires_in", token.lifetime_s - 1},
      {"ext_expires_in", token.lifetime_s - 1},
      {"access_token",
       token.text}}.dump());
  answer.caller = identity.client_id;
  return answer;
}

// What is wrong with the credential, or nothing.
std::string CheckCredential(const HttpCall& call, const Identity& identity,
                            const TokenIssuer& issuer, const Clock& wall) {
  if (const std::string assertion = call.Param("client_assertion"); !assertion.empty()) {
    if (call.Param("client_assertion_type") != kAssertionType) {
      return "AADSTS50027: client_assertion_type is not jwt-bearer.";
    }
    return CheckAssertion(assertion, identity, issuer, call.Match(1), wall.WallNow());
  }
  const std::string secret = call.Param("client_secret");
  if (secret.empty()) {
    return "AADSTS7000218: The request body must contain the following parameter: "
           "'client_assertion' or 'client_secret'.";
  }
  if (identity.secret.empty() || !SameSecret(identity.secret, secret)) {
    return "AADSTS7000215: Invalid client secret provided.";
  }
  return "";
}

Answer Token(const HttpCall& call, const Identities& identities, const TokenIssuer& issuer,
             const Clock& wall) {
  const std::string directory = call.Match(1);
  if (directory != issuer.tenant_id() && !IsGuid(directory)) {
    return OAuthError(400, "invalid_request",
                      absl::StrCat("AADSTS90002: Tenant '", directory, "' not found."));
  }
  if (call.Param("grant_type") != "client_credentials") {
    return OAuthError(400, "unsupported_grant_type",
                      "AADSTS70003: The app requested an unsupported grant type.");
  }
  const std::string scope = call.Param("scope");
  if (!absl::EndsWith(scope, "/.default") || absl::StrContains(scope, " ")) {
    return OAuthError(400, "invalid_scope",
                      "AADSTS1002012: The provided value for scope is not valid. Client credential "
                      "flows must have a scope value with /.default suffixed to the resource.");
  }
  const std::optional<Identity> identity = identities.Find(call.Param("client_id"));
  if (!identity.has_value() ||
      (directory != issuer.tenant_id() && !identity->directories.contains(directory))) {
    return OAuthError(400, "unauthorized_client",
                      absl::StrCat("AADSTS700016: Application was not found in the directory '",
                                   directory, "'."));
  }
  if (const std::string wrong = CheckCredential(call, *identity, issuer, wall); !wrong.empty()) {
    return OAuthError(401, "invalid_client", wrong);
  }
  return TokenAnswer(issuer, *identity, std::string(absl::StripSuffix(scope, "/.default")),
                     directory);
}

Answer ImdsError(const std::string& description) {
  return OAuthError(400, "invalid_request", description);
}

Answer ImdsToken(const HttpCall& call, const Identities& identities, const TokenIssuer& issuer) {
  // A request that was forwarded, or that a browser was tricked into, must not get a token.
  if (call.Header("metadata") != "true") return ImdsError("Required metadata header not specified");
  if (!call.Header("x-forwarded-for").empty()) return ImdsError("Forwarded requests are refused");
  if (call.Param("api-version").empty()) return ImdsError("api-version was not specified");
  const std::string resource = call.Param("resource");
  if (resource.empty()) return ImdsError("AADSTS90014: The required field 'resource' is missing.");
  const std::string resource_id =
      call.Param("mi_res_id").empty() ? call.Param("msi_res_id") : call.Param("mi_res_id");
  const std::optional<Identity> identity =
      identities.FindManaged(call.Param("client_id"), call.Param("object_id"), resource_id);
  if (!identity.has_value()) return ImdsError("Identity not found");
  const TokenIssuer::Token token = issuer.Mint(*identity, resource, issuer.tenant_id());
  // Numbers are strings here, unlike at the token endpoint.
  Answer answer = Json(json{
      {"access_token", token.text},
      {"client_id", identity->client_id},
      {"expires_in", absl::StrCat(token.lifetime_s - 1)},
      {"expires_on", absl::StrCat(token.expires_unix)},
      {"ext_expires_in", absl::StrCat(token.lifetime_s - 1)},
      {"not_before", absl::StrCat(token.expires_unix - token.lifetime_s)},
      {"resource", resource},
      {"token_type",
       "Bearer"}}.dump());
  answer.caller = identity->client_id;
  return answer;
}

}  // namespace

void AddTokenRoutes(HttpServer& server, const Identities& identities, const TokenIssuer& issuer,
                    const Clock& wall) {
  const std::string tenant = "/" + issuer.tenant_id();
  server.Route("POST", R"(/([0-9A-Za-z.-]+)/oauth2/v2\.0/token)", "token",
               [&](const HttpCall& call) { return Token(call, identities, issuer, wall); });
  const auto fixed = [&](const std::string& path, std::string (TokenIssuer::*text)() const) {
    server.Route("GET", path, "discovery",
                 [&issuer, text](const HttpCall&) { return Json((issuer.*text)()); });
  };
  fixed(tenant + R"(/v2\.0/\.well-known/openid-configuration)", &TokenIssuer::OpenIdConfiguration);
  fixed(tenant + R"(/discovery/v2\.0/keys)", &TokenIssuer::Jwks);
  fixed(R"(/cluster/\.well-known/openid-configuration)", &TokenIssuer::ClusterConfiguration);
  fixed("/cluster/openid/v1/jwks", &TokenIssuer::ClusterJwks);
}

void AddImdsRoutes(HttpServer& server, const Identities& identities, const TokenIssuer& issuer) {
  server.Route("GET", "/metadata/identity/oauth2/token", "imds",
               [&](const HttpCall& call) { return ImdsToken(call, identities, issuer); });
}

}  // namespace cmkstore::dev_vault
