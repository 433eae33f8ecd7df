#pragma once

#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/http_transport.h"
#include "crypto/random.h"
#include "vault/call_budget.h"
#include "vault/key_vault.h"
#include "vault/vault_http.h"
#include "vault/vault_meter.h"
#include "vault/vault_uri.h"

namespace cmkstore::vault {

struct VaultDirectoryOptions {
  // Tenants that may name vaults of a directory that is not their own; "*" is every tenant.
  std::map<std::string, std::set<std::string>> shared;  // by directory, all in lower case
  absl::Duration call_timeout = absl::Seconds(3);
};

// Ties a vault to the tenant that names it (docs/adr/0013-vaults-belong-to-tenants.md). This server
// may call the vaults of all its tenants: without this, any of them could have another's key wrap
// for it, at the other's cost.
//
// A vault says which directory it belongs to when it is called without a token: in its 401
// challenge, over verified TLS, as an Azure service and not as its tenant. No token is sent.
//
// Thread-safe, blocking: a call waits for its turn, in a budget apart from that of the vault's own
// tenant. All that it is given by
// reference must outlive this.
class VaultDirectory {
 public:
  VaultDirectory(VaultDirectoryOptions options, VaultAddressPolicy addresses,
                 HttpTransport& transport, CallBudget& budget, VaultMeter& meter, Clock& clock,
                 crypto::Random& random)
      : options_(std::move(options)),
        addresses_(std::move(addresses)),
        http_(transport, clock, random),
        budget_(budget),
        meter_(meter),
        clock_(clock) {}

  // The directory of the key's vault, which `tenant` may name: its own, or one shared with it.
  // Empty for a host of VaultAddressPolicy::allowed_hosts that names none. `key` has passed
  // CheckKeyRef.
  //
  // Errors: FIELD_INVALID when the tenant may not name it; VAULT_UNREACHABLE, also for an answer
  // that names no directory; VAULT_THROTTLED.
  absl::StatusOr<std::string> CheckMayName(const std::string& tenant, const KeyRef& key,
                                           absl::Time deadline);

 private:
  absl::StatusOr<std::string> Ask(const std::string& tenant, const KeyRef& key,
                                  absl::Time deadline);

  const VaultDirectoryOptions options_;
  const VaultAddressPolicy addresses_;
  VaultHttp http_;
  CallBudget& budget_;
  VaultMeter& meter_;
  Clock& clock_;
};

}  // namespace cmkstore::vault
