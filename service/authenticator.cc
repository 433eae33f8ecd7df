#include "service/authenticator.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/base64url.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"

namespace cmkstore::service {
namespace {

using nlohmann::json;

constexpr absl::Duration kSkew = absl::Seconds(60);
constexpr absl::Duration kMaxRemembered = absl::Minutes(5);
constexpr size_t kMaxRememberedTokens = 10'000;

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool Holds(const json& list, const std::string& wanted) {
  return list.is_array() && std::any_of(list.begin(), list.end(), [&](const json& one) {
           return one.is_string() && one.get<std::string>() == wanted;
         });
}

absl::StatusOr<std::map<std::string, crypto::RsaPublicKey>> ParseKeys(const std::string& jwks) {
  std::map<std::string, crypto::RsaPublicKey> keys;
  const json set = json::parse(jwks, nullptr, false);
  if (set.is_object() && set.contains("keys") && set["keys"].is_array()) {
    for (const json& one : set["keys"]) {
      if (!one.is_object() || TextOf(one, "kty") != "RSA") continue;
      // A key that its issuer means for something else verifies no token.
      if (one.contains("use") && TextOf(one, "use") != "sig") continue;
      if (one.contains("alg") && TextOf(one, "alg") != "RS256") continue;
      if (one.contains("key_ops") && !Holds(one["key_ops"], "verify")) continue;
      const std::optional<std::string> n = DecodeBase64Url(TextOf(one, "n"));
      const std::optional<std::string> e = DecodeBase64Url(TextOf(one, "e"));
      if (!n.has_value() || !e.has_value()) continue;
      if (auto key = crypto::RsaPublicKey::Create(*n, *e); key.ok()) {
        keys.emplace(TextOf(one, "kid"), *key);
      }
    }
  }
  if (keys.empty()) return FieldInvalid("issuers.jwks", "must hold at least one RSA key");
  return keys;
}

bool NamesAudience(const json& claims, const std::string& audience) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return false;
  if (found->is_string()) return found->get<std::string>() == audience;
  return Holds(*found, audience);
}

absl::StatusOr<absl::Time> TimeOf(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end() || !found->is_number_integer()) {
    return TokenInvalid("it lacks a time claim");
  }
  return absl::FromUnixSeconds(found->get<int64_t>());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(
    const std::vector<IssuerOptions>& issuers, Clock& clock) {
  CMK_ASSIGN_OR_RETURN(Issuers parsed, Parse(issuers));
  return std::unique_ptr<Authenticator>(new Authenticator(std::move(parsed), clock));
}

absl::StatusOr<Authenticator::Issuers> Authenticator::Parse(
    const std::vector<IssuerOptions>& options) {
  std::vector<Issuer> parsed;
  for (const IssuerOptions& one : options) {
    CMK_ASSIGN_OR_RETURN(auto keys, ParseKeys(one.jwks));
    parsed.push_back({one.issuer, one.audience, std::move(keys)});
  }
  return std::make_shared<const std::vector<Issuer>>(std::move(parsed));
}

absl::Status Authenticator::SetIssuers(const std::vector<IssuerOptions>& issuers) {
  CMK_ASSIGN_OR_RETURN(Issuers parsed, Parse(issuers));
  absl::MutexLock lock(&mutex_);
  issuers_ = std::move(parsed);
  remembered_.clear();
  return absl::OkStatus();
}

absl::StatusOr<CallerPtr> Authenticator::Authenticate(absl::string_view authorization) {
  if (!absl::StartsWithIgnoreCase(authorization, "Bearer ")) {
    return TokenInvalid("the authorization metadata must be `Bearer TOKEN`");
  }
  const absl::string_view token = authorization.substr(7);
  if (token.size() > crypto::kMaxJwtBytes) return TokenInvalid("it is longer than 8 KiB");
  const std::string digest = crypto::Sha256(token);
  const absl::Time now = clock_.WallNow();
  Issuers issuers;
  {
    absl::MutexLock lock(&mutex_);
    issuers = issuers_;
    const auto found = remembered_.find(digest);
    if (found != remembered_.end() && now < found->second.until) return found->second.caller;
  }
  CMK_ASSIGN_OR_RETURN(CallerPtr caller, Validate(issuers, token));
  absl::MutexLock lock(&mutex_);
  if (issuers != issuers_) return caller;  // not remembered beyond the issuers that vouched for it
  if (remembered_.size() >= kMaxRememberedTokens) remembered_.clear();
  remembered_[digest] = {caller, std::min(caller->expires, now + kMaxRemembered)};
  return caller;
}

absl::StatusOr<CallerPtr> Authenticator::Validate(const Issuers& issuers,
                                                  absl::string_view token) const {
  CMK_ASSIGN_OR_RETURN(const crypto::Jwt jwt, crypto::ParseJwt(token));
  const json header = json::parse(jwt.header, nullptr, false);
  const json claims = json::parse(jwt.claims, nullptr, false);
  if (!header.is_object() || !claims.is_object()) return TokenInvalid("its parts are not JSON");
  // One algorithm, whatever the token asks for: neither "none" nor an HMAC with a public key gets
  // further.
  if (TextOf(header, "alg") != "RS256") return TokenInvalid("its algorithm is not RS256");
  if (header.contains("crit")) return TokenInvalid("it has critical extensions");
  const std::string issuer_name = TextOf(claims, "iss");
  const auto issuer = std::find_if(issuers->begin(), issuers->end(),
                                   [&](const Issuer& one) { return one.issuer == issuer_name; });
  if (issuer == issuers->end()) return TokenInvalid("its issuer is not trusted here");
  const auto key = issuer->keys.find(TextOf(header, "kid"));
  if (key == issuer->keys.end()) return TokenInvalid("its signing key is not known");
  CMK_RETURN_IF_ERROR(key->second.VerifyRs256(jwt.signing_input, jwt.signature));

  if (!NamesAudience(claims, issuer->audience)) return TokenInvalid("it is for another audience");
  const absl::Time now = clock_.WallNow();
  auto caller = std::make_shared<Caller>();
  CMK_ASSIGN_OR_RETURN(caller->expires, TimeOf(claims, "exp"));
  if (caller->expires + kSkew <= now) return TokenExpired();
  if (claims.contains("nbf")) {
    CMK_ASSIGN_OR_RETURN(const absl::Time not_before, TimeOf(claims, "nbf"));
    if (not_before - kSkew > now) return TokenInvalid("it is not valid yet");
  }
  caller->tenant = TextOf(claims, "tid");
  caller->subject = TextOf(claims, "oid");
  if (caller->subject.empty()) caller->subject = TextOf(claims, "sub");
  if (caller->tenant.empty() || caller->subject.empty()) {
    return TokenInvalid("it names no tenant or no subject");
  }
  if (const auto roles = claims.find("roles"); roles != claims.end() && roles->is_array()) {
    for (const json& role : *roles) {
      if (role.is_string() && caller->roles.size() < 256) {
        caller->roles.push_back(role.get<std::string>());
      }
    }
  }
  return CallerPtr(std::move(caller));
}

}  // namespace cmkstore::service
