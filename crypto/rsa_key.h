#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_pkey_st;

namespace cmkstore::crypto {

// An RSA private key, for the programs that play a vault or an issuer: development only. The
// service itself holds no private RSA key but that of its TLS certificate. Immutable, thread-safe.
class RsaPrivateKey {
 public:
  // `bits`: 2048, 3072 or 4096. Takes a tenth of a second and more.
  static absl::StatusOr<RsaPrivateKey> Generate(int bits);
  // Errors: STATE_INVALID.
  static absl::StatusOr<RsaPrivateKey> FromPem(const std::string& pem);
  std::string ToPem() const;

  std::string ModulusBytes() const;   // big endian
  std::string ExponentBytes() const;  // big endian
  int bits() const;

  // RS256 (RFC 7518 3.3).
  std::string SignRs256(absl::string_view message) const;
  // RSA-OAEP-256 (SHA-256 for both hashes). Encrypting gives "" for a plaintext that is too long
  // for the key. Errors: DEK_RECORD_CORRUPT when the ciphertext does not open.
  std::string OaepEncrypt(absl::string_view plaintext) const;
  absl::StatusOr<std::string> OaepDecrypt(absl::string_view ciphertext) const;

  evp_pkey_st* get() const { return key_.get(); }

 private:
  explicit RsaPrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace cmkstore::crypto
