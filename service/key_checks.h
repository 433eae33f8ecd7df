#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cmkstore/v1/key_service.pb.h"
#include "crypto/random.h"
#include "service/key_check_rows.h"
#include "vault/key_vault.h"
#include "vault/vault_directory.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {

struct KeyChecksOptions {
  // A role that was granted a moment ago may take minutes to be in force, and an outage may be over
  // in a moment: for so long a vault that forbids or does not answer is asked again, every 2 s,
  // before that is believed. Part of the call's deadline.
  absl::Duration retry_for = absl::Seconds(10);
  // The names of this server's identities, each with its client id (empty: not known to it).
  // Another name is the request's fault, and calls nobody.
  std::map<std::string, std::string> identities = {{"", ""}};
};

// Tries a vault key in every way that a hub will need it, and says of each check what was found,
// what is needed and what to run. Every check that can be tried is, whatever became of the others.
// Changes nothing. Blocking, thread-safe. `vault` bounds each call by the time that calls for
// documents have, and does not repeat it: a vault that hangs, or is too slow for documents, fails
// the check at which it does. The vault is called with tokens of the directory that it says it is
// of.
class KeyChecks {
 public:
  KeyChecks(KeyChecksOptions options, vault::KeyVault& vault, vault::VaultDirectory& directory,
            const vault::VaultAddressPolicy& addresses, crypto::Random& random, Clock& clock)
      : options_(std::move(options)),
        vault_(vault),
        directory_(directory),
        addresses_(addresses),
        random_(random),
        clock_(clock) {}

  // `stored`: of a hub, one wrapped DEK for each version of the key that wraps any. After a
  // rotation of the key its older documents need the older versions, which no other check tries.
  v1::CheckKeyResponse Run(const std::string& tenant, const vault::KeyRef& key,
                           const std::vector<vault::WrappedKey>& stored, absl::Time deadline);
  // The same for the key of this service itself, which has no vault, no role and no dates.
  v1::CheckKeyResponse RunPlatform(absl::Time deadline);
  // The directory of the vault (empty for a local one that names none), or the error with which
  // CreateHub is refused: CUSTOMER_KEY_UNFIT listing every failed check, or the vault's own outage
  // or our login, or FIELD_INVALID for a vault that `tenant` may not name.
  absl::StatusOr<std::string> Require(const std::string& tenant, const vault::KeyRef& key,
                                      absl::Time deadline);

 private:
  struct Report {
    v1::CheckKeyResponse response;
    std::string directory;  // of the vault
    bool key_read = false;
    std::vector<absl::Status> refusals;  // of the vault, in the order in which they came
  };
  KeyCheckRows RowsFor(const vault::KeyRef& key, v1::CheckKeyResponse& response) const;
  Report Try(const std::string& tenant, vault::KeyRef key, absl::Time deadline);
  Report TryUntilItHolds(const std::string& tenant, const vault::KeyRef& key, absl::Time deadline);
  void TryWithoutReading(const vault::KeyRef& key, const absl::Status& refusal, absl::Time deadline,
                         Report& report);
  void TryUnwrapOfNothing(const vault::KeyRef& key, const std::string& version_id, size_t bytes,
                          absl::Time deadline, Report& report);
  void TryStored(vault::KeyRef key, const std::vector<vault::WrappedKey>& stored,
                 absl::Time deadline, Report& report);
  void TryOperations(const vault::KeyRef& key, const vault::KeyDescription& description,
                     absl::Time deadline, Report& report);

  const KeyChecksOptions options_;
  vault::KeyVault& vault_;
  vault::VaultDirectory& directory_;
  const vault::VaultAddressPolicy addresses_;
  crypto::Random& random_;
  Clock& clock_;
};

}  // namespace cmkstore::service
