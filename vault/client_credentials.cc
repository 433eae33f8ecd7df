#include "vault/client_credentials.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "crypto/rsa_key.h"
#include "vault/login_refusal.h"
#include "vault/url_encode.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

constexpr absl::string_view kAssertionType =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr absl::Duration kAssertionLifetime = absl::Minutes(10);
constexpr absl::Duration kAttemptTime = absl::Seconds(10);
constexpr absl::string_view kPemBegin = "-----BEGIN CERTIFICATE-----";
constexpr absl::string_view kPemEnd = "-----END CERTIFICATE-----";

absl::StatusOr<std::string> ReadSecretFile(const std::string& path, absl::string_view what) {
  const std::optional<std::string> content = ReadFile(path);
  std::string secret(absl::StripAsciiWhitespace(content.value_or("")));
  if (secret.empty()) {
    return VaultLoginFailed(absl::StrCat("the ", what, " file cannot be read or is empty"));
  }
  return secret;
}

// The first certificate of a PEM text as DER, or "".
std::string FirstCertificate(absl::string_view pem) {
  const size_t begin = pem.find(kPemBegin);
  const size_t end = pem.find(kPemEnd);
  std::string der;
  if (begin == absl::string_view::npos || end == absl::string_view::npos || end < begin) return "";
  const size_t body = begin + kPemBegin.size();
  return absl::Base64Unescape(pem.substr(body, end - body), &der) ? der : "";
}

// A directory's words for an application that it does not know, or that its administrator has
// turned off: AADSTS700016, 7000229, 7000112, 500014, 650052 (docs of Entra's error codes).
constexpr int64_t kNoConsentCodes[] = {700016, 7000229, 7000112, 500014, 650052};

bool SaysNoConsent(const HttpResponse& response) {
  if (response.status != 400 && response.status != 401) return false;
  const std::vector<int64_t> codes = ParseLoginRefusal(response).codes;
  return std::find_first_of(codes.begin(), codes.end(), std::begin(kNoConsentCodes),
                            std::end(kNoConsentCodes)) != codes.end();
}

}  // namespace

absl::StatusOr<std::string> ClientCredentials::SignedAssertion(const std::string& token_url) {
  CMK_ASSIGN_OR_RETURN(std::string pem, ReadSecretFile(options_.certificate_file, "certificate"));
  const std::string certificate = FirstCertificate(pem);
  const absl::StatusOr<crypto::RsaPrivateKey> key = crypto::RsaPrivateKey::FromPem(pem);
  crypto::Wipe(pem);
  if (certificate.empty() || !key.ok()) {
    return VaultLoginFailed("the certificate file must hold a certificate and its RSA key as PEM");
  }
  const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
  const nlohmann::json header = {
      {"alg", "RS256"},
      {"typ", "JWT"},
      {"x5t#S256", absl::WebSafeBase64Escape(crypto::Sha256(certificate))}};
  const nlohmann::json claims = {{"aud", token_url},
                                 {"iss", options_.client_id},
                                 {"sub", options_.client_id},
                                 {"jti", random_.NewUid<HubUid>().ToHex()},
                                 {"iat", now},
                                 {"nbf", now},
                                 {"exp", now + absl::ToInt64Seconds(kAssertionLifetime)}};
  return crypto::SignJwtWithHeader(*key, header.dump(), claims.dump());
}

// The part of the form that proves who we are.
absl::StatusOr<std::string> ClientCredentials::Proof(const std::string& token_url) {
  std::string assertion;
  switch (options_.kind) {
    case IdentityOptions::Kind::kClientSecret: {
      CMK_ASSIGN_OR_RETURN(const std::string secret,
                           ReadSecretFile(options_.secret_file, "client secret"));
      return absl::StrCat("&client_secret=", UrlEncode(secret));
    }
    case IdentityOptions::Kind::kClientCertificate: {
      CMK_ASSIGN_OR_RETURN(assertion, SignedAssertion(token_url));
      break;
    }
    default: {
      CMK_ASSIGN_OR_RETURN(assertion, ReadSecretFile(options_.token_file, "federated token"));
    }
  }
  return absl::StrCat("&client_assertion_type=", UrlEncode(kAssertionType),
                      "&client_assertion=", UrlEncode(assertion));
}

absl::StatusOr<AccessToken> ClientCredentials::Fetch(const TokenRequest& wanted,
                                                     absl::Time deadline) {
  // The host is the configuration's; a vault's challenge chooses no more than the directory.
  const bool elsewhere =
      !wanted.directory.empty() && !absl::EqualsIgnoreCase(wanted.directory, options_.tenant_id);
  const std::string token_url =
      absl::StrCat(options_.authority, "/", elsewhere ? wanted.directory : options_.tenant_id,
                   "/oauth2/v2.0/token");
  CMK_ASSIGN_OR_RETURN(std::string proof, Proof(token_url));
  HttpRequest request;
  request.method = "POST";
  request.url = token_url;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body =
      absl::StrCat("grant_type=client_credentials&client_id=", UrlEncode(options_.client_id),
                   "&scope=", UrlEncode(absl::StrCat(wanted.resource, "/.default")), proof);
  const absl::StatusOr<HttpResponse> response =
      transport_.Send(request, std::min(deadline, clock_.WallNow() + kAttemptTime));
  crypto::Wipe(proof);
  crypto::Wipe(request.body);
  if (!response.ok()) {
    return VaultLoginFailed(absl::StrCat("the token endpoint: ", CauseOf(response.status())));
  }
  if (elsewhere && SaysNoConsent(*response)) {
    return WithRefusal(WithCause(VaultLoginFailed(absl::StrCat(
                                     "directory ", wanted.directory,
                                     " has not consented to this server's application, or has "
                                     "turned it off")),
                                 kNoConsent),
                       *response);
  }
  return ParseTokenAnswer(*response, clock_.WallNow());
}

}  // namespace cmkstore::vault
