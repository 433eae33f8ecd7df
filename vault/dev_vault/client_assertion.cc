#include "vault/dev_vault/client_assertion.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "crypto/jwt.h"
#include "crypto/x509_verify.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr int64_t kSkewSeconds = 300;

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string Decoded(const json& object, const char* name) {
  std::string bytes;
  return absl::WebSafeBase64Unescape(Text(object, name), &bytes) ? bytes : "";
}

// "aud" is a string or a list of strings.
bool IsMeantFor(const json& claims, const std::string& audience) {
  const auto aud = claims.find("aud");
  if (aud == claims.end()) return false;
  if (!aud->is_array()) return *aud == audience;
  return std::find(aud->begin(), aud->end(), audience) != aud->end();
}

std::string CheckDates(const json& claims, absl::Time now) {
  const int64_t unix_now = absl::ToUnixSeconds(now);
  const auto exp = claims.find("exp");
  if (exp == claims.end() || !exp->is_number() || exp->get<int64_t>() <= unix_now) {
    return "AADSTS700024: Client assertion is not within its valid time range: it is expired.";
  }
  const auto nbf = claims.find("nbf");
  if (nbf != claims.end() && nbf->is_number() && nbf->get<int64_t>() > unix_now + kSkewSeconds) {
    return "AADSTS700024: Client assertion is not within its valid time range: it is not yet "
           "valid.";
  }
  return "";
}

std::string CheckCertificateAssertion(const crypto::Jwt& jwt, const json& header,
                                      const json& claims, const Identity& identity,
                                      const TokenIssuer& issuer, const std::string& directory,
                                      absl::Time now) {
  const auto certificate = crypto::CertificateVerifier::FromPem(identity.certificate);
  if (!certificate.ok()) {
    return "AADSTS700027: The certificate with identifier used to sign the client assertion is not "
           "registered on application.";
  }
  const std::string sha1 = Decoded(header, "x5t");
  const std::string sha256 = Decoded(header, "x5t#S256");
  const bool named = sha256.empty() ? sha1 == certificate->sha1_thumbprint()
                                    : sha256 == certificate->sha256_thumbprint();
  if (!named) {
    return "AADSTS700027: The certificate with identifier used to sign the client assertion is not "
           "registered on application.";
  }
  if (!certificate->Verify(Text(header, "alg"), jwt.signing_input, jwt.signature)) {
    return "AADSTS700027: Client assertion contains an invalid signature.";
  }
  const std::string tenant = absl::StrCat(issuer.authority(), "/", directory);
  if (!IsMeantFor(claims, absl::StrCat(tenant, "/oauth2/v2.0/token")) &&
      !IsMeantFor(claims, issuer.IssuerOf(directory))) {
    return "AADSTS700021: Client assertion application identifier doesn't match 'client_id' "
           "parameter, or its audience is not this token endpoint.";
  }
  if (Text(claims, "sub") != identity.client_id) {
    return "AADSTS700021: Client assertion application identifier doesn't match 'client_id' "
           "parameter.";
  }
  return CheckDates(claims, now);
}

std::string JwksOf(const Identity::Federated& trust, const TokenIssuer& issuer) {
  if (!trust.jwks.empty()) return trust.jwks;
  if (!trust.jwks_file.empty()) return ReadFile(trust.jwks_file).value_or("");
  return trust.issuer == issuer.cluster_issuer() ? issuer.ClusterJwks() : "";
}

std::string CheckFederatedAssertion(const std::string& assertion, const json& claims,
                                    const Identity& identity, const TokenIssuer& issuer,
                                    absl::Time now) {
  for (const Identity::Federated& trust : identity.federated) {
    // An issuer with a leading slash is one of this program, whose port is not known beforehand.
    Identity::Federated known = trust;
    if (known.issuer.starts_with("/")) known.issuer = issuer.authority() + known.issuer;
    if (Text(claims, "iss") != known.issuer || Text(claims, "sub") != known.subject) continue;
    if (!IsMeantFor(claims, known.audience)) {
      return absl::StrCat(
          "AADSTS700212: No matching federated identity record found for presented "
          "assertion audience. The expected one is ",
          known.audience, ".");
    }
    if (!IsSignedByKeyOf(JwksOf(known, issuer), assertion)) {
      return "AADSTS50013: Assertion failed signature validation.";
    }
    return CheckDates(claims, now);
  }
  return absl::StrCat(
      "AADSTS700213: No matching federated identity record found for presented "
      "assertion subject '",
      Text(claims, "sub"), "' and issuer '", Text(claims, "iss"), "'.");
}

}  // namespace

std::string CheckAssertion(const std::string& assertion, const Identity& identity,
                           const TokenIssuer& issuer, const std::string& directory,
                           absl::Time now) {
  const auto jwt = crypto::ParseJwt(assertion);
  if (!jwt.ok()) return "AADSTS50027: JWT token is invalid or malformed.";
  const json header = json::parse(jwt->header, nullptr, false);
  const json claims = json::parse(jwt->claims, nullptr, false);
  if (!header.is_object() || !claims.is_object()) {
    return "AADSTS50027: JWT token is invalid or malformed.";
  }
  return Text(claims, "iss") == identity.client_id
             ? CheckCertificateAssertion(*jwt, header, claims, identity, issuer, directory, now)
             : CheckFederatedAssertion(assertion, claims, identity, issuer, now);
}

}  // namespace cmkstore::dev_vault
