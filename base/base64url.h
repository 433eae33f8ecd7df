#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore {

// Base64url without padding (RFC 4648 section 5), as JSON Web Tokens write bytes. Thread-safe.
std::string EncodeBase64Url(absl::string_view bytes);
// Accepts exactly what EncodeBase64Url makes: no padding, no blanks, no stray low bits in the last
// character. One byte string has one text, so a signed text cannot be changed and still mean the
// same.
std::optional<std::string> DecodeBase64Url(absl::string_view text);

}  // namespace cmkstore
