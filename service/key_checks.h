#pragma once

#include <vector>

#include "base/clock.h"
#include "cmkstore/v1/key_service.pb.h"
#include "crypto/random.h"
#include "vault/key_vault.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {

// Tries a vault key in every way that a hub will need it, and says of each check what was found,
// what is needed and what to do. Changes nothing. Blocking, thread-safe.
class KeyChecks {
 public:
  KeyChecks(vault::KeyVault& vault, const vault::VaultAddressPolicy& addresses,
            crypto::Random& random, Clock& clock)
      : vault_(vault), addresses_(addresses), random_(random), clock_(clock) {}

  v1::CheckKeyResponse Run(const vault::KeyRef& key, absl::Time deadline);
  // OK, or the error with which CreateHub is refused: CUSTOMER_KEY_UNFIT listing every failed
  // check, or the vault's own refusal or outage.
  absl::Status Require(const vault::KeyRef& key, absl::Time deadline);

 private:
  struct Report {
    v1::CheckKeyResponse response;
    absl::Status vault_trouble;  // the first refusal or outage, if there was one
  };
  Report Try(const vault::KeyRef& key, absl::Time deadline);
  void CheckDescription(const vault::KeyDescription& description, v1::CheckKeyResponse& response);

  vault::KeyVault& vault_;
  const vault::VaultAddressPolicy addresses_;
  crypto::Random& random_;
  Clock& clock_;
};

}  // namespace cmkstore::service
