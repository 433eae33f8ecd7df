#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// A domain whose hosts are vaults, and the resource that our tokens for them are of.
struct VaultDomain {
  std::string suffix;    // with a leading dot: ".vault.azure.net"
  std::string resource;  // "https://vault.azure.net"

  friend bool operator==(const VaultDomain&, const VaultDomain&) = default;
};

// "SUFFIX", whose resource is https:// and the suffix without its dot, or "SUFFIX=RESOURCE".
VaultDomain VaultDomainFrom(absl::string_view text);

// Which hosts a tenant may name as its vault. A vault URI comes from a tenant and is called with
// our token: without these rules it is a way to make us send requests, and tokens, anywhere.
struct VaultAddressPolicy {
  // The host must end with a suffix and have exactly one label before it.
  std::vector<VaultDomain> domains = {
      VaultDomainFrom(".vault.azure.net"),         VaultDomainFrom(".managedhsm.azure.net"),
      VaultDomainFrom(".vault.azure.cn"),          VaultDomainFrom(".managedhsm.azure.cn"),
      VaultDomainFrom(".vault.usgovcloudapi.net"), VaultDomainFrom(".managedhsm.usgovcloudapi.net"),
  };
  // Whole "host:port" texts, for a local vault in development; none in production.
  std::vector<std::string> allowed_hosts;
  // The resource of tokens for those allowed_hosts whose names say nothing else: not those under a
  // domain, nor those like hsm1.managedhsm.localhost:8443.
  std::string development_resource = "https://vault.azure.net";
};

// Whether an operator's own domain can be one: a suffix of at least two lower-case labels with a
// leading dot, and an https resource. Errors: FIELD_INVALID naming the rule.
absl::Status CheckVaultDomain(const VaultDomain& domain);

// Checks a vault URI: `https://` host, nothing behind it; lower-case letters, digits, `-` and dots
// only; no user info, port (but for allowed_hosts), trailing dot or non-ASCII. Pure. Errors:
// FIELD_INVALID naming the rule.
absl::Status CheckVaultUri(const VaultAddressPolicy& policy, absl::string_view uri);
// Key names are 1-127 of [0-9A-Za-z-], versions the same or empty. Errors: FIELD_INVALID.
absl::Status CheckKeyRef(const VaultAddressPolicy& policy, const KeyRef& key);
// The resource that a token for this vault is of. It is ours to say, by the domain that the host is
// under: a challenge is only compared with it. `vault_uri` has passed CheckVaultUri.
std::string ResourceOf(const VaultAddressPolicy& policy, absl::string_view vault_uri);
// Whether the host (with port, if any) is one of the policy's allowed_hosts.
bool IsLocal(const VaultAddressPolicy& policy, absl::string_view host);
// The host (with port, if any) of a URI that has passed CheckVaultUri.
absl::string_view HostOf(absl::string_view vault_uri);

}  // namespace cmkstore::vault
