#include "service/authenticator.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/errors.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"

namespace cmkstore::service {
namespace {

using nlohmann::json;

constexpr absl::Duration kSkew = absl::Seconds(60);
constexpr absl::Duration kMaxRemembered = absl::Minutes(5);
constexpr size_t kMaxRememberedTokens = 10'000;
constexpr size_t kMaxRoles = 256;
constexpr absl::Duration kFetchTimeout = absl::Seconds(5);
constexpr absl::string_view kTenantPlace = "{tid}";            // in the configuration
constexpr absl::string_view kTenantPlaceOfKey = "{tenantid}";  // in Entra's key sets

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::StatusOr<std::string> FetchUrl(HttpTransport& transport, const std::string& url,
                                     absl::Time deadline) {
  HttpRequest request;
  request.url = url;
  request.headers = {{"Accept", "application/json"}};
  CMK_ASSIGN_OR_RETURN(HttpResponse response, transport.Send(request, deadline));
  if (response.status != 200) {
    return StateInvalid(absl::StrCat("the issuer answered ", response.status));
  }
  return std::move(response.body);
}

JwksCache::Fetch SourceOf(const IssuerOptions& options, HttpTransport& transport, Clock& clock) {
  if (options.jwks_url.empty()) {
    return [text = options.jwks]() -> absl::StatusOr<std::string> { return text; };
  }
  return [&transport, &clock, url = options.jwks_url] {
    return FetchUrl(transport, url, clock.WallNow() + kFetchTimeout);
  };
}

bool Holds(const json& list, const std::string& wanted) {
  return list.is_array() && std::any_of(list.begin(), list.end(), [&](const json& one) {
           return one.is_string() && one.get<std::string>() == wanted;
         });
}

// Whether a token's `iss` is the trusted one, with the token's `tid` put in where it says so. A
// `tid` is an id, so that it cannot bring a path of its own.
bool IsIssuer(const std::string& trusted, const std::string& issuer, const std::string& tenant) {
  if (!absl::StrContains(trusted, kTenantPlace)) return issuer == trusted;
  return IsValidId(tenant) && issuer == absl::StrReplaceAll(trusted, {{kTenantPlace, tenant}});
}

// Whether a key is meant for tokens of `issuer`. In a set for all directories the key of one must
// not speak for another.
bool SignsFor(const SigningKey& key, const std::string& issuer, const std::string& tenant) {
  return key.issuer.empty() ||
         issuer == absl::StrReplaceAll(key.issuer, {{kTenantPlaceOfKey, tenant}});
}

bool NamesAudience(const json& claims, const std::string& audience) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return false;
  if (found->is_string()) return found->get<std::string>() == audience;
  return Holds(*found, audience);
}

absl::StatusOr<absl::Time> TimeOf(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return TokenInvalid(absl::StrCat("it lacks the claim ", name));
  // RFC 7519 allows fractions of a second.
  if (found->is_number_float()) return absl::UnixEpoch() + absl::Seconds(found->get<double>());
  if (!found->is_number_integer()) {
    return TokenInvalid(absl::StrCat("its claim ", name, " is no number of seconds"));
  }
  return absl::FromUnixSeconds(found->get<int64_t>());
}

// Whom the token stands for. An issuer with `workloads` knows neither tenants nor roles.
absl::Status SayWho(const std::vector<WorkloadOptions>& workloads, const json& claims,
                    Caller& caller) {
  if (!workloads.empty()) {
    const auto found = std::find_if(
        workloads.begin(), workloads.end(),
        [subject = TextOf(claims, "sub")](const auto& one) { return one.subject == subject; });
    if (found == workloads.end()) return TokenInvalid("its subject is not trusted here");
    caller.subject = found->subject;
    caller.tenant = found->tenant;
    caller.roles = found->roles;
    return absl::OkStatus();
  }
  caller.tenant = TextOf(claims, "tid");
  caller.subject = TextOf(claims, "oid");
  if (caller.subject.empty()) caller.subject = TextOf(claims, "sub");
  if (caller.tenant.empty() || caller.subject.empty()) {
    return TokenInvalid("it names no tenant or no subject");
  }
  if (const auto roles = claims.find("roles"); roles != claims.end() && roles->is_array()) {
    for (const json& role : *roles) {
      if (role.is_string() && caller.roles.size() < kMaxRoles) {
        caller.roles.push_back(role.get<std::string>());
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(
    const std::vector<IssuerOptions>& issuers, HttpTransport& transport, Clock& clock) {
  auto created = std::unique_ptr<Authenticator>(new Authenticator(transport, clock));
  CMK_RETURN_IF_ERROR(created->SetIssuers(issuers));
  return created;
}

void Authenticator::Tick() {
  Issuers issuers;
  {
    absl::MutexLock lock(&mutex_);
    issuers = issuers_;
  }
  for (const Issuer& issuer : *issuers) issuer.keys->Tick();
}

absl::StatusOr<Authenticator::Issuers> Authenticator::Parse(
    const std::vector<IssuerOptions>& options, const Issuers& before) {
  std::vector<Issuer> parsed;
  for (const IssuerOptions& one : options) {
    if (!one.jwks_url.empty() && !absl::StartsWith(one.jwks_url, "https://")) {
      return FieldInvalid("jwks_url", "must begin with https://");
    }
    const auto same = std::find_if(before->begin(), before->end(), [&](const Issuer& known) {
      return !one.jwks_url.empty() && known.jwks_url == one.jwks_url;
    });
    std::shared_ptr<JwksCache> keys =
        same != before->end()
            ? same->keys
            : std::make_shared<JwksCache>(JwksOptions(), SourceOf(one, transport_, clock_), worker_,
                                          clock_);
    if (one.jwks_url.empty()) {
      CMK_RETURN_IF_ERROR(
          Annotate(keys->Load(), absl::StrCat("the key set of issuer ", one.issuer)));
    }
    parsed.push_back({one.issuer, one.audience, one.jwks_url, std::move(keys), one.workloads});
  }
  return std::make_shared<const std::vector<Issuer>>(std::move(parsed));
}

absl::Status Authenticator::SetIssuers(const std::vector<IssuerOptions>& issuers) {
  Issuers before;
  {
    absl::MutexLock lock(&mutex_);
    before = issuers_;
  }
  CMK_ASSIGN_OR_RETURN(Issuers parsed, Parse(issuers, before));
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
  const std::string tenant = TextOf(claims, "tid");
  const auto issuer = std::find_if(issuers->begin(), issuers->end(), [&](const Issuer& one) {
    return IsIssuer(one.issuer, issuer_name, tenant);
  });
  if (issuer == issuers->end()) return TokenInvalid("its issuer is not trusted here");
  const auto key = issuer->keys->Find(TextOf(header, "kid"));
  if (!key.has_value()) return TokenInvalid("its signing key is not known");
  CMK_RETURN_IF_ERROR(key->key.VerifyRs256(jwt.signing_input, jwt.signature));
  if (!SignsFor(*key, issuer_name, tenant)) {
    return TokenInvalid("its signing key is for tokens of another issuer");
  }

  if (!NamesAudience(claims, issuer->audience)) return TokenInvalid("it is for another audience");
  const absl::Time now = clock_.WallNow();
  auto caller = std::make_shared<Caller>();
  CMK_ASSIGN_OR_RETURN(caller->expires, TimeOf(claims, "exp"));
  if (caller->expires + kSkew <= now) return TokenExpired();
  if (claims.contains("nbf")) {
    CMK_ASSIGN_OR_RETURN(const absl::Time not_before, TimeOf(claims, "nbf"));
    if (not_before - kSkew > now) return TokenInvalid("it is not valid yet");
  }
  CMK_RETURN_IF_ERROR(SayWho(issuer->workloads, claims, *caller));
  return CallerPtr(std::move(caller));
}

}  // namespace cmkstore::service
