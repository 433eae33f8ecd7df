#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crypto/rsa_key.h"

namespace cmkstore::crypto {

// A compact JWS (RFC 7515) taken apart. Nothing of it is trusted before its signature was verified.
struct Jwt {
  std::string header;         // JSON text
  std::string claims;         // JSON text
  std::string signing_input;  // what the signature covers
  std::string signature;
};

// Longest token that is looked at, in bytes.
inline constexpr size_t kMaxJwtBytes = 8192;

// Three parts of a bounded size, each the one base64url text of its bytes: a second text for the
// same token would pass by what remembers refused or known tokens. Errors: TOKEN_INVALID.
absl::StatusOr<Jwt> ParseJwt(absl::string_view token);

// An RS256 token with `claims` (JSON text), for issuers of development.
std::string SignJwt(const RsaPrivateKey& key, absl::string_view key_id, absl::string_view claims);
// The same with a header (JSON text) of the caller's making, whose `alg` is RS256: client
// assertions.
std::string SignJwtWithHeader(const RsaPrivateKey& key, absl::string_view header,
                              absl::string_view claims);
// The JSON Web Key Set (RFC 7517) that verifies what `key` signs.
std::string JwksOf(const RsaPrivateKey& key, absl::string_view key_id);

}  // namespace cmkstore::crypto
