#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crypto/binding.h"
#include "crypto/dek.h"
#include "crypto/random.h"
#include "crypto/sealed_document.h"

namespace cmkstore::crypto {

// Whether a payload is compressed (zstd) and padded to 64-byte buckets before it is sealed. Off by
// default: the size of a compressed secret tells something of its content.
enum class Compression { kNone, kZstdPadded };

// Seals `plaintext` under the newest key of its hub, bound to `binding` and `revision`. One nonce
// is drawn from `random` per call. Kinds kHubSecrets use the hub-secrets key, all others the
// document key.
//
// Thread-safe. What it makes, Parse accepts.
//
// Errors: INVARIANT for a plaintext above 16 MiB; callers bound what they seal.
absl::StatusOr<SealedDocument> Seal(const SealKey& key, const Binding& binding, uint64_t revision,
                                    absl::string_view plaintext, Random& random,
                                    Compression compression = Compression::kNone);

// Opens what Seal made for the same binding. The commitment is compared in constant time before
// anything is opened; nothing is released on failure.
//
// Errors: DOCUMENT_CORRUPT (one constant error for every mismatch: key, binding, tag, commitment);
// DEK_NOT_FOUND when `key` is of another DEK than the envelope names.
absl::StatusOr<std::string> Open(const OpenKey& key, const Binding& binding,
                                 const SealedDocument& sealed);

}  // namespace cmkstore::crypto
