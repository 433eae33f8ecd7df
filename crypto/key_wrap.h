#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::crypto {

// AES-256 key wrap (RFC 3394) of a 32-byte key: 40 bytes. Thread-safe.
std::string AesKeyWrap(const SecretBytes& kek, const SecretBytes& key);
// Errors: DEK_RECORD_CORRUPT when `wrapped` was not made with `kek`.
absl::StatusOr<SecretBytes> AesKeyUnwrap(const SecretBytes& kek, absl::string_view wrapped);

}  // namespace cmkstore::crypto
