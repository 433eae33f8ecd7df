#include "vault/dev_vault/token_issuer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/jwt.h"
#include "crypto/random.h"
#include "crypto/rsa_verify.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr char kKeyId[] = "dev-vault";
constexpr char kClusterKeyId[] = "dev-cluster";
constexpr int64_t kSkewSeconds = 300;

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}
int64_t Number(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

}  // namespace

bool IsSignedByKeyOf(const std::string& jwks, const std::string& token) {
  const auto jwt = crypto::ParseJwt(token);
  const json set = json::parse(jwks, nullptr, false);
  if (!jwt.ok() || !set.is_object() || !set.contains("keys") || !set["keys"].is_array())
    return false;
  const json header = json::parse(jwt->header, nullptr, false);
  // The algorithm is ours to say: a token that names another is never tried.
  if (!header.is_object() || Text(header, "alg") != "RS256") return false;
  for (const json& jwk : set["keys"]) {
    std::string n, e;
    if (!jwk.is_object() || Text(jwk, "kty") != "RSA" || Text(jwk, "kid") != Text(header, "kid") ||
        !absl::WebSafeBase64Unescape(Text(jwk, "n"), &n) ||
        !absl::WebSafeBase64Unescape(Text(jwk, "e"), &e)) {
      continue;
    }
    const auto key = crypto::RsaPublicKey::Create(n, e);
    if (key.ok() && key->VerifyRs256(jwt->signing_input, jwt->signature).ok()) return true;
  }
  return false;
}

TokenIssuer::TokenIssuer(std::string authority, std::string tenant_id,
                         crypto::RsaPrivateKey signing_key, SettableClock& clock)
    : authority_(std::move(authority)),
      tenant_id_(std::move(tenant_id)),
      signing_key_(std::move(signing_key)),

      clock_(clock) {}

std::string TokenIssuer::IssuerOf(const std::string& directory) const {
  return absl::StrCat(authority_, "/", directory, "/v2.0");
}
std::string TokenIssuer::cluster_issuer() const { return absl::StrCat(authority_, "/cluster"); }

TokenIssuer::Token TokenIssuer::Mint(const Identity& identity, const std::string& audience,
                                     const std::string& directory) const {
  absl::MutexLock lock(&mutex_);
  const int64_t now = clock_.UnixNow();
  json claims = {{"iss", IssuerOf(directory)},
                 {"aud", audience},
                 {"tid", directory},
                 {"oid", identity.object_id},
                 {"sub", identity.object_id},
                 {"appid", identity.client_id},
                 {"azp", identity.client_id},
                 {"idtyp", "app"},
                 {"ver", "2.0"},
                 {"uti", crypto::SystemRandom().NewUid<HubUid>().ToHex()},
                 {"generation", generation_},
                 {"iat", now},
                 {"nbf", now},
                 {"exp", now + lifetime_s_}};
  if (!identity.roles.empty()) claims["roles"] = identity.roles;
  return {crypto::SignJwt(signing_key_, kKeyId, claims.dump()), lifetime_s_, now + lifetime_s_};
}

std::string TokenIssuer::MintFederated(const std::string& subject, const std::string& audience,
                                       int64_t now_unix, int64_t lifetime_s) const {
  const json claims = {{"iss", cluster_issuer()}, {"sub", subject},
                       {"aud", {audience}},       {"iat", now_unix},
                       {"nbf", now_unix},         {"exp", now_unix + lifetime_s}};
  return crypto::SignJwt(signing_key_, kClusterKeyId, claims.dump());
}

absl::StatusOr<Caller> TokenIssuer::Verify(const std::string& token, const std::string& audience,
                                           const std::string& directory) const {
  CMK_ASSIGN_OR_RETURN(const crypto::Jwt jwt, crypto::ParseJwt(token));
  if (!IsSignedByKeyOf(Jwks(), token)) return TokenInvalid("signature validation failed");
  const json claims = json::parse(jwt.claims, nullptr, false);
  if (!claims.is_object()) return TokenInvalid("its claims are no JSON object");
  if (Text(claims, "iss") != IssuerOf(directory)) {
    return TokenInvalid(absl::StrCat("AKV10032: Invalid issuer. Expected one of ",
                                     IssuerOf(directory), ", found ", Text(claims, "iss"), "."));
  }
  if (Text(claims, "tid") != directory) return TokenInvalid("it is of another tenant");
  if (Text(claims, "aud") != audience) {
    return TokenInvalid(absl::StrCat("AKV10022: Invalid audience. Expected ", audience,
                                     ", found: ", Text(claims, "aud"), "."));
  }
  const int64_t now = clock_.UnixNow();
  if (Number(claims, "exp") <= now) return TokenInvalid("the token is expired");
  if (Number(claims, "nbf") > now + kSkewSeconds) return TokenInvalid("it is not yet valid");
  absl::MutexLock lock(&mutex_);
  if (Number(claims, "generation") != generation_) return TokenInvalid("it was revoked");
  return Caller{Text(claims, "azp"), Text(claims, "oid"), IssuerOf(directory), false};
}

std::string TokenIssuer::Jwks() const { return crypto::JwksOf(signing_key_, kKeyId); }
std::string TokenIssuer::ClusterJwks() const { return crypto::JwksOf(signing_key_, kClusterKeyId); }

std::string TokenIssuer::OpenIdConfiguration() const {
  const std::string tenant = absl::StrCat(authority_, "/", tenant_id_);
  return json{{"issuer", IssuerOf(tenant_id_)},
              {"token_endpoint", absl::StrCat(tenant, "/oauth2/v2.0/token")},
              {"authorization_endpoint", absl::StrCat(tenant, "/oauth2/v2.0/authorize")},
              {"jwks_uri", absl::StrCat(tenant, "/discovery/v2.0/keys")},
              {"token_endpoint_auth_methods_supported", {"client_secret_post", "private_key_jwt"}},
              {"response_types_supported", {"code"}},
              {"id_token_signing_alg_values_supported", {"RS256"}},
              {"subject_types_supported", {"pairwise"}}}
      .dump();
}

std::string TokenIssuer::ClusterConfiguration() const {
  return json{{"issuer", cluster_issuer()},
              {"jwks_uri", absl::StrCat(cluster_issuer(), "/openid/v1/jwks")},
              {"response_types_supported", {"id_token"}},
              {"subject_types_supported", {"public"}},
              {"id_token_signing_alg_values_supported", {"RS256"}}}
      .dump();
}

void TokenIssuer::SetLifetime(int64_t seconds) {
  absl::MutexLock lock(&mutex_);
  lifetime_s_ = seconds;
}

void TokenIssuer::RevokeAll() {
  absl::MutexLock lock(&mutex_);
  ++generation_;
}

}  // namespace cmkstore::dev_vault
