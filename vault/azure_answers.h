#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/http_transport.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// Of every call.
inline constexpr absl::string_view kApiVersion = "?api-version=7.4";

enum class VaultOperation { kDescribe, kWrap, kUnwrap };
absl::string_view ToString(VaultOperation operation);

// What an answer of Azure Key Vault that is not 200 means (docs/vaults.md has the table). Pure: the
// text of the answer decides nothing but the inner code of a 403, and never reaches the status.
//
// A 404 of unwrap may be a deleted key or a removed version. `key_is_there`: a second look found
// the key, so the version was removed: DEK_RECORD_CORRUPT (fail closed, page). Else it is
// CUSTOMER_KEY_REVOKED.
absl::Status MeaningOf(VaultOperation operation, const HttpResponse& response,
                       bool key_is_there = false);

// VAULT_UNREACHABLE for an answer that no row of the table knows: nobody's decision, but somebody
// should look.
absl::Status UnknownAnswer(absl::string_view what);

// Reads the 200 of GET, wrapkey and unwrapkey. `kid` must name the host, the key and, where one was
// asked for, the version. Errors: VAULT_UNREACHABLE for an answer that is not what it should be.
absl::StatusOr<KeyDescription> ParseKeyBundle(const HttpResponse& response, const KeyRef& asked);
struct KeyOperationResult {
  std::string version_id;
  std::string value;
};
absl::StatusOr<KeyOperationResult> ParseKeyOperation(const HttpResponse& response,
                                                     const KeyRef& asked);

// The `resource` or `scope` of a 401 challenge without "/.default"; empty if it has none.
std::string ChallengeResource(absl::string_view www_authenticate);
// The directory (Entra tenant, a GUID in lower case) that the vault belongs to, by `authorization`
// or `authorization_uri` of its 401 challenge; empty if it names none. Nothing else of that URL is
// ever used.
std::string ChallengeDirectory(absl::string_view www_authenticate);
// The last part of a `kid`.
std::string VersionOf(absl::string_view version_id);
// Takes key name and version of a `kid` over into `key`; false, and `key` as it was, unless it is
// exactly VAULT/keys/NAME/VERSION of `vault_uri`.
bool SplitVersionId(absl::string_view version_id, absl::string_view vault_uri, KeyRef& key);

}  // namespace cmkstore::vault
