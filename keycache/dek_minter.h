#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/ids.h"
#include "crypto/dek.h"
#include "crypto/random.h"
#include "keycache/wrapped_dek_source.h"
#include "vault/key_vault.h"

namespace cmkstore::keycache {

struct MintedDek {
  crypto::Dek dek;
  WrappedDekRecord record;
};

// Makes a new DEK of a hub: wrapped by the vault, then unwrapped again once and compared, so that
// no DEK is ever used that could not be opened later. Never wraps with a public key: that would go
// on after the customer revoked it.
//
// Blocking, bounded by `deadline`. Errors: those of KeyVault; CUSTOMER_KEY_UNFIT when the vault
// refuses the wrap, which withdraws no key, or gives back another key than it wrapped.
absl::StatusOr<MintedDek> MintDek(vault::KeyVault& vault, const vault::KeyRef& key,
                                  const std::string& tenant, HubUid hub, uint32_t generation,
                                  crypto::Random& random, Clock& clock, absl::Time deadline);

// Wraps the same DEK once more, by `key` as it is now (another version, another key of the vault):
// the record that replaces `record`. No document is touched. Unwrapped again and compared, as a new
// DEK is.
//
// Blocking, bounded by `deadline`. Errors: those of MintDek; DEK_RECORD_CORRUPT.
absl::StatusOr<WrappedDekRecord> RewrapDek(vault::KeyVault& vault, const vault::KeyRef& key,
                                           const WrappedDekRecord& record, absl::Time deadline);

}  // namespace cmkstore::keycache
