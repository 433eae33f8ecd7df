#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "keycache/hub_keys.h"
#include "keycache/wrapped_dek_source.h"
#include "vault/key_vault.h"

namespace cmkstore::keycache {

// From stored, wrapped records to usable keys, by the vault: the only place that unwraps for the
// cache. Blocking.
//
// Errors: those of KeyVault::Unwrap; DEK_RECORD_CORRUPT when a DEK is not the one that its record
// describes; DEK_NOT_FOUND.
class HubOpener {
 public:
  explicit HubOpener(vault::KeyVault& vault) : vault_(vault) {}

  // `answer` becomes what the vault said of this one DEK, apart from what we then found wrong with
  // it. Of a hub whose refusal is on record the key's latest version is looked at, too.
  absl::StatusOr<HubKeysPtr> OpenNewest(HubUid hub, const HubKeyRecords& records,
                                        absl::Time deadline, absl::Time now_monotonic,
                                        absl::Status& answer);
  absl::StatusOr<OpenKeyPtr> OpenGeneration(const HubKeyRecords& records, DekId dek,
                                            absl::Time deadline, absl::Status& answer);
  // The sentinel's question: does the vault still unwrap this?
  absl::Status Probe(const vault::KeyRef& key, const WrappedDekRecord& record, absl::Time deadline);

 private:
  absl::StatusOr<crypto::Dek> Unwrap(const vault::KeyRef& key, const WrappedDekRecord& record,
                                     absl::Time deadline, absl::Status& answer);
  vault::KeyVault& vault_;
};

}  // namespace cmkstore::keycache
