#include "vault/azure_key_vault.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/base64url.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

std::string OperationBody(absl::string_view algorithm, absl::string_view value) {
  std::string encoded = EncodeBase64Url(value);
  std::string body = nlohmann::json{{"alg", std::string(algorithm)}, {"value", encoded}}.dump();
  crypto::Wipe(encoded);
  return body;
}

// A wrap's answer is stored beside the data: only what can be a ciphertext of this key may be.
bool CanBeCiphertext(absl::string_view value, absl::string_view dek,
                     const KeyDescription& description) {
  const size_t wanted =
      AlgorithmFor(description.type) == "A256KW" ? dek.size() + 8 : description.size_bits / 8;
  return value.size() == wanted && !absl::StrContains(value, dek);
}

}  // namespace

AzureKeyVault::AzureKeyVault(VaultAddressPolicy addresses, HttpTransport& transport,
                             IdentitySet& identities, Clock& clock, crypto::Random& random)
    : addresses_(std::move(addresses)), http_(transport, clock, random), identities_(identities) {}

absl::StatusOr<HttpResponse> AzureKeyVault::Send(const KeyRef& key, const Question& question,
                                                 const std::string& token, absl::Time deadline) {
  HttpRequest request;
  request.url = absl::StrCat(key.vault_uri, question.path, kApiVersion);
  request.headers = {{"Authorization", absl::StrCat("Bearer ", token)},
                     {"Accept", "application/json"}};
  if (!question.body.empty()) {
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = question.body;
  }
  absl::StatusOr<HttpResponse> response =
      http_.Send({key.vault_uri, ToString(question.operation)}, request, deadline);
  crypto::Wipe(request.body);
  crypto::Wipe(request.headers.front().second);
  return response;
}

absl::StatusOr<HttpResponse> AzureKeyVault::Call(const KeyRef& key, const Question& question,
                                                 absl::Time deadline) {
  CMK_RETURN_IF_ERROR(CheckKeyRef(addresses_, key));
  const std::string resource = ResourceOf(addresses_, key.vault_uri);
  const TokenRequest wanted{key.identity, key.directory, resource};
  CMK_ASSIGN_OR_RETURN(std::string token, identities_.Token(wanted, deadline));
  CMK_ASSIGN_OR_RETURN(HttpResponse response, Send(key, question, token, deadline));
  if (response.status != 401) return response;
  const std::string asked = ChallengeResource(response.Header("WWW-Authenticate"));
  if (!asked.empty() && asked != resource) {
    return WithCause(VaultLoginFailed("the vault asks for a token of another resource"),
                     kTokenRefused);
  }
  // Once: the token may have been revoked or may be of an old signing key.
  CMK_ASSIGN_OR_RETURN(token, identities_.Renewed(wanted, token, key.vault_uri, deadline));
  return Send(key, question, token, deadline);
}

absl::StatusOr<KeyDescription> AzureKeyVault::Describe(const KeyRef& key, absl::Time deadline) {
  const std::string version = key.version.empty() ? "" : absl::StrCat("/", key.version);
  CMK_ASSIGN_OR_RETURN(
      HttpResponse response,
      Call(key, {VaultOperation::kDescribe, absl::StrCat("/keys/", key.key_name, version), ""},
           deadline));
  if (response.status != 200) return MeaningOf(VaultOperation::kDescribe, response);
  return ParseKeyBundle(response, key);
}

absl::StatusOr<WrappedKey> AzureKeyVault::Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                               absl::Time deadline) {
  CMK_ASSIGN_OR_RETURN(const KeyDescription description, Describe(key, deadline));
  const absl::string_view algorithm = AlgorithmFor(description.type);
  // The version that was just described: what is checked is what wraps.
  KeyRef wrapping = key;
  wrapping.version = VersionOf(description.version_id);
  const absl::string_view plain(reinterpret_cast<const char*>(dek.Reveal().data()), dek.size());
  Question question{VaultOperation::kWrap,
                    absl::StrCat("/keys/", wrapping.key_name, "/", wrapping.version, "/wrapkey"),
                    OperationBody(algorithm, plain)};
  absl::StatusOr<HttpResponse> response = Call(wrapping, question, deadline);
  crypto::Wipe(question.body);
  if (!response.ok()) return response.status();
  if (response->status != 200) return MeaningOf(VaultOperation::kWrap, *response);
  CMK_ASSIGN_OR_RETURN(KeyOperationResult result, ParseKeyOperation(*response, wrapping));
  if (!CanBeCiphertext(result.value, plain, description)) {
    crypto::Wipe(result.value);
    return UnknownAnswer("the answer to a wrap is no ciphertext of the key");
  }
  return WrappedKey{std::move(result.version_id), std::string(algorithm), std::move(result.value)};
}

// What a 404 to an unwrap means: is the key gone, or only the version?
absl::Status AzureKeyVault::LookAgain(KeyRef key, const HttpResponse& not_found,
                                      absl::Time deadline) {
  const absl::Status gone = MeaningOf(VaultOperation::kUnwrap, not_found);
  if (OutcomeOf(gone) != VaultOutcome::kDenied) return gone;
  key.version.clear();
  const absl::Status looked = Describe(key, deadline).status();
  if (looked.ok()) return MeaningOf(VaultOperation::kUnwrap, not_found, /*key_is_there=*/true);
  // A look that came to nothing shows nothing: a hub is not locked for half of an answer.
  return OutcomeOf(looked) == VaultOutcome::kDenied ? gone : looked;
}

absl::StatusOr<crypto::SecretBytes> AzureKeyVault::Unwrap(const KeyRef& key,
                                                          const WrappedKey& wrapped,
                                                          absl::Time deadline) {
  // A record of an earlier key of the same vault names that key: ask for the one that wrapped.
  KeyRef wrapping = key;
  if (!SplitVersionId(wrapped.version_id, key.vault_uri, wrapping)) {
    return DekRecordCorrupt("its record names another vault than the hub");
  }
  CMK_ASSIGN_OR_RETURN(
      HttpResponse response,
      Call(wrapping,
           {VaultOperation::kUnwrap,
            absl::StrCat("/keys/", wrapping.key_name, "/", wrapping.version, "/unwrapkey"),
            OperationBody(wrapped.algorithm, wrapped.ciphertext)},
           deadline));
  if (response.status == 404) return LookAgain(wrapping, response, deadline);
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
