#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crypto/rsa_key.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::dev_vault {

// The secret part of one key version: an RSA key or, in a managed HSM, an AES key. A label ending
// in
// "-HSM" says what a real vault would have kept in hardware; here it is in memory like the rest.
//
// Immutable, thread-safe. Operations give nothing when the algorithm does not fit the key or the
// bytes do not open.
class KeyMaterial {
 public:
  using Ptr = std::shared_ptr<const KeyMaterial>;

  // `type`: RSA, RSA-HSM (2048, 3072, 4096 bits) or oct-HSM (256). Errors: STATE_INVALID, whose
  // message is fit for the caller.
  static absl::StatusOr<Ptr> Generate(const std::string& type, int bits);
  // A JWK with its private part. Errors: STATE_INVALID.
  static absl::StatusOr<Ptr> Import(const nlohmann::json& jwk);
  // From what ToState wrote. Errors: STATE_INVALID.
  static absl::StatusOr<Ptr> FromState(const nlohmann::json& state);
  nlohmann::json ToState() const;

  // kty and, for RSA, n and e; without kid and key_ops.
  nlohmann::json PublicJwk() const;
  const std::string& type() const { return type_; }
  int bits() const;
  bool is_rsa() const { return rsa_.has_value(); }

  std::optional<std::string> Encrypt(absl::string_view algorithm,
                                     absl::string_view plaintext) const;
  std::optional<std::string> Decrypt(absl::string_view algorithm,
                                     absl::string_view ciphertext) const;
  std::optional<std::string> Sign(absl::string_view algorithm, absl::string_view digest) const;
  std::optional<bool> Verify(absl::string_view algorithm, absl::string_view digest,
                             absl::string_view signature) const;

 private:
  KeyMaterial(std::string type, std::optional<crypto::RsaPrivateKey> rsa, crypto::SecretBytes aes)
      : type_(std::move(type)), rsa_(std::move(rsa)), aes_(std::move(aes)) {}

  std::string type_;
  std::optional<crypto::RsaPrivateKey> rsa_;
  crypto::SecretBytes aes_;
};

}  // namespace cmkstore::dev_vault
