#include "vault/azure_key_vault.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/base64url.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::vault {
namespace {

constexpr absl::string_view kApiVersion = "?api-version=7.4";

std::string OperationBody(absl::string_view algorithm, absl::string_view value) {
  return nlohmann::json{{"alg", std::string(algorithm)}, {"value", EncodeBase64Url(value)}}.dump();
}

absl::string_view AlgorithmFor(absl::string_view key_type) {
  return absl::StartsWith(key_type, "oct") ? "A256KW" : "RSA-OAEP-256";
}

}  // namespace

AzureKeyVault::AzureKeyVault(AzureKeyVaultOptions options, HttpTransport& transport,
                             IdentitySet& identities)
    : options_(std::move(options)), transport_(transport), identities_(identities) {}

// The resource is the domain that the vault's host is under, and ours to say: a challenge is only
// compared with it.
absl::StatusOr<std::string> AzureKeyVault::ResourceFor(absl::string_view host) const {
  const auto& local = options_.addresses.allowed_hosts;
  if (std::find(local.begin(), local.end(), host) != local.end()) {
    return options_.development_resource;
  }
  const size_t dot = host.find('.');
  return absl::StrCat("https://", host.substr(dot + 1));
}

absl::StatusOr<HttpResponse> AzureKeyVault::Call(const KeyRef& key, HttpRequest request,
                                                 absl::Time deadline) {
  CMK_RETURN_IF_ERROR(CheckKeyRef(options_.addresses, key));
  const absl::string_view host = HostOf(key.vault_uri);
  CMK_ASSIGN_OR_RETURN(const std::string resource, ResourceFor(host));
  for (int attempt = 0;; ++attempt) {
    CMK_ASSIGN_OR_RETURN(const std::string token,
                         identities_.Token(key.identity, resource, deadline));
    HttpRequest authorized = request;
    authorized.headers.emplace_back("Authorization", absl::StrCat("Bearer ", token));
    CMK_ASSIGN_OR_RETURN(HttpResponse response, transport_.Send(authorized, deadline));
    if (response.status != 401 || attempt == 1) return response;
    // Once: the token may have been revoked or may be of an old signing key.
    const std::string asked = ChallengeResource(response.Header("WWW-Authenticate"));
    if (!asked.empty() && asked != resource) {
      return VaultLoginFailed("the vault asks for a token of another resource");
    }
    identities_.Drop(key.identity, resource, token);
  }
}

absl::StatusOr<KeyDescription> AzureKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  HttpRequest request;
  request.url = absl::StrCat(key.vault_uri, "/keys/", key.key_name, key.version.empty() ? "" : "/",
                             key.version, kApiVersion);
  CMK_ASSIGN_OR_RETURN(HttpResponse response, Call(key, std::move(request), deadline));
  if (response.status != 200) return MeaningOf(VaultOperation::kDescribe, response);
  return ParseKeyBundle(response, key);
}

absl::StatusOr<WrappedKey> AzureKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                               absl::Time deadline) {
  CMK_ASSIGN_OR_RETURN(const KeyDescription description, Describe(key, deadline));
  const absl::string_view algorithm = AlgorithmFor(description.type);
  HttpRequest request;
  request.method = "POST";
  // The version that was just described: what is checked is what wraps.
  request.url = absl::StrCat(description.version_id, "/wrapkey", kApiVersion);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = OperationBody(
      algorithm, absl::string_view(reinterpret_cast<const char*>(dek.Reveal().data()), dek.size()));
  absl::StatusOr<HttpResponse> response = Call(key, request, deadline);
  crypto::Wipe(request.body);
  if (!response.ok()) return response.status();
  if (response->status != 200) return MeaningOf(VaultOperation::kWrap, *response);
  CMK_ASSIGN_OR_RETURN(KeyOperationResult result, ParseKeyOperation(*response, key));
  return WrappedKey{std::move(result.version_id), std::string(algorithm), std::move(result.value)};
}

absl::StatusOr<crypto::SecretBytes> AzureKeyVault::Unwrap(const KeyRef& key,
                                                          const WrappedKey& wrapped,
                                                          absl::Time deadline) {
  const std::string prefix = absl::StrCat(key.vault_uri, "/keys/");
  if (!absl::StartsWithIgnoreCase(wrapped.version_id, prefix)) {
    return DekRecordCorrupt("its record names another vault than the hub");
  }
  // A record of an earlier key of the same vault names that key: ask for the one that wrapped.
  KeyRef wrapping = key;
  const std::string rest = wrapped.version_id.substr(prefix.size());
  wrapping.key_name = rest.substr(0, rest.find('/'));
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(wrapped.version_id, "/unwrapkey", kApiVersion);
  request.headers = {{"Content-Type", "application/json"}};
  request.body = OperationBody(wrapped.algorithm, wrapped.ciphertext);
  CMK_ASSIGN_OR_RETURN(HttpResponse response, Call(wrapping, std::move(request), deadline));
  if (response.status == 404) {
    KeyRef latest = wrapping;
    latest.version.clear();
    absl::StatusOr<KeyDescription> described = Describe(latest, deadline);
    return MeaningOf(VaultOperation::kUnwrap, response,
                     described.ok() ? std::optional<bool>(true) : std::nullopt);
  }
  if (response.status != 200) return MeaningOf(VaultOperation::kUnwrap, response);
  absl::StatusOr<KeyOperationResult> result = ParseKeyOperation(response, wrapping);
  crypto::Wipe(response.body);
  if (!result.ok()) return result.status();
  crypto::SecretBytes dek(
      {reinterpret_cast<const uint8_t*>(result->value.data()), result->value.size()});
  crypto::Wipe(result->value);
  return dek;
}

}  // namespace cmkstore::vault
