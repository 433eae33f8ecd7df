#pragma once

#include <memory>

#include "absl/time/time.h"
#include "base/ids.h"
#include "crypto/blind_name.h"
#include "crypto/dek.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::keycache {

// What one unwrap of a hub's newest DEK gives: enough to seal, name and index, and to open all that
// the newest generation sealed. Immutable and shared; the keys inside are wiped when the last
// holder lets go.
//
// Holders keep it for one request, never longer: a lock waits for nobody, but a held copy can still
// open what is in memory.
struct HubKeys {
  HubUid hub;
  crypto::SealKey seal;
  crypto::OpenKey open;  // the same generation
  crypto::NameKey names;
  std::shared_ptr<const crypto::SecretBytes> index_key;
  absl::Time unwrapped_at;  // monotonic
};

using HubKeysPtr = std::shared_ptr<const HubKeys>;
using OpenKeyPtr = std::shared_ptr<const crypto::OpenKey>;

}  // namespace cmkstore::keycache
