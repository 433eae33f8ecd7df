#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/http_transport.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

enum class VaultOperation { kDescribe, kWrap, kUnwrap };

// What an answer of Azure Key Vault that is not 200 means (docs/vaults.md has the table). Pure: the
// text of the answer decides nothing but the inner code of a 403, and never reaches the status.
//
// A 404 of unwrap may be a deleted key or a removed version; `key_exists` says which, if it is
// known: then a removed version is DEK_RECORD_CORRUPT (fail closed, page), a deleted key is
// CUSTOMER_KEY_REVOKED.
absl::Status MeaningOf(VaultOperation operation, const HttpResponse& response,
                       std::optional<bool> key_exists = std::nullopt);

// Reads the 200 of GET, wrapkey and unwrapkey. `kid` must name the host and the key that were
// asked. Errors: VAULT_UNREACHABLE for an answer that is not what it should be.
absl::StatusOr<KeyDescription> ParseKeyBundle(const HttpResponse& response, const KeyRef& asked);
struct KeyOperationResult {
  std::string version_id;
  std::string value;
};
absl::StatusOr<KeyOperationResult> ParseKeyOperation(const HttpResponse& response,
                                                     const KeyRef& asked);

// The `resource` or `scope` of a 401 challenge without "/.default"; empty if the challenge has
// none.
std::string ChallengeResource(absl::string_view www_authenticate);
// Whether a token for `resource` may be sent to `host`: the host must be under the resource's
// domain. Without this check a tenant's "vault" could ask for a token of something else.
bool ResourceCoversHost(absl::string_view resource, absl::string_view host);

}  // namespace cmkstore::vault
