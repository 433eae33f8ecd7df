#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_pkey_st;

namespace cmkstore::crypto {

// An RSA public key that verifies RS256 signatures (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 3.3)
// and nothing else. Immutable, thread-safe.
class RsaPublicKey {
 public:
  // `n` and `e` are big-endian bytes, as a JWK holds them after base64url.
  // Errors: TOKEN_INVALID for keys below 2048 or above 4096 bits and for exponents that are even or
  // below 3.
  static absl::StatusOr<RsaPublicKey> Create(absl::string_view n, absl::string_view e);

  // Errors: TOKEN_INVALID, one constant message.
  absl::Status VerifyRs256(absl::string_view message, absl::string_view signature) const;

 private:
  explicit RsaPublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace cmkstore::crypto
