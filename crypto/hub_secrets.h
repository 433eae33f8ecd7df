#pragma once

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "crypto/dek.h"
#include "crypto/envelope.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::crypto {

// The two keys that live as long as their hub, whatever DEK generation seals its documents.
struct HubSecrets {
  SecretBytes name_key;   // 32 bytes: blinds collection and document ids
  SecretBytes index_key;  // 32 bytes: seals every page of the search index

  static HubSecrets Generate(Random& random);
};

// Sealed under the hub-secrets key of `key` as a RowKind::kHubSecrets envelope of 64 bytes of
// plaintext.
absl::StatusOr<SealedDocument> SealHubSecrets(const SealKey& key, absl::string_view tenant,
                                              HubUid hub, const HubSecrets& secrets,
                                              Random& random);
// Errors: as Open.
absl::StatusOr<HubSecrets> OpenHubSecrets(const OpenKey& key, absl::string_view tenant, HubUid hub,
                                          const SealedDocument& sealed);

}  // namespace cmkstore::crypto
