#pragma once

#include <span>
#include <string>

#include "absl/strings/string_view.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::crypto {

// AES-256-CMAC (SP 800-38B): 16 bytes. `key` has 32 bytes. Thread-safe.
std::string AesCmac(std::span<const uint8_t> key, absl::string_view message);

// SP 800-108 key derivation in counter mode with AES-256-CMAC as PRF and an empty context: 32 bytes
// of key for the purpose that `label` names. `key` has 32 bytes. Thread-safe.
SecretBytes DeriveKey(const SecretBytes& key, absl::string_view label);

}  // namespace cmkstore::crypto
