#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// Which hosts a tenant may name as its vault. A vault URI comes from a tenant and is called with
// our token: without these rules it is a way to make us send requests, and tokens, anywhere.
struct VaultAddressPolicy {
  // With a leading dot; the host must end with one and have exactly one label before it.
  std::vector<std::string> allowed_suffixes = {".vault.azure.net", ".vault.azure.cn",
                                               ".vault.usgovcloudapi.net", ".managedhsm.azure.net"};
  // Whole "host:port" texts, for a local vault in development; none in production.
  std::vector<std::string> allowed_hosts;
};

// Checks a vault URI: `https://` host, nothing behind it; lower-case letters, digits, `-` and dots
// only; no user info, port (but for allowed_hosts), trailing dot or non-ASCII. Pure. Errors:
// FIELD_INVALID naming the rule.
absl::Status CheckVaultUri(const VaultAddressPolicy& policy, absl::string_view uri);
// Key names are 1-127 of [0-9A-Za-z-], versions the same or empty. Errors: FIELD_INVALID.
absl::Status CheckKeyRef(const VaultAddressPolicy& policy, const KeyRef& key);
// The host (with port, if any) of a URI that has passed CheckVaultUri.
absl::string_view HostOf(absl::string_view vault_uri);

}  // namespace cmkstore::vault
