#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::crypto {

// 32 raw bytes each. FIPS 180-4, RFC 2104. Thread-safe.
std::string Sha256(absl::string_view bytes);
std::string HmacSha256(std::span<const uint8_t> key, absl::string_view bytes);

}  // namespace cmkstore::crypto
