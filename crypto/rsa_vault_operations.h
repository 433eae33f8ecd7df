#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crypto/rsa_key.h"

// What a key vault does with an RSA key for its callers, by the names of RFC 7518. For the local
// vault: the service itself never encrypts or signs with an RSA key of a vault. Pure, thread-safe.
namespace cmkstore::crypto {

// `algorithm`: RSA-OAEP-256, RSA-OAEP or RSA1_5. Nothing if the algorithm is another or the bytes
// do not fit.
std::optional<std::string> RsaEncrypt(const RsaPrivateKey& key, absl::string_view algorithm,
                                      absl::string_view plaintext);
std::optional<std::string> RsaDecrypt(const RsaPrivateKey& key, absl::string_view algorithm,
                                      absl::string_view ciphertext);

// `algorithm`: RS256, RS384, RS512, PS256, PS384 or PS512; `digest` was made by the caller. Nothing
// if the algorithm is another or the digest's size does not fit it.
std::optional<std::string> RsaSignDigest(const RsaPrivateKey& key, absl::string_view algorithm,
                                         absl::string_view digest);
std::optional<bool> RsaVerifyDigest(const RsaPrivateKey& key, absl::string_view algorithm,
                                    absl::string_view digest, absl::string_view signature);

// A private key from the numbers of its JWK (RFC 7518 6.3): n, e, d, p, q, dp, dq and qi as
// big-endian bytes. Errors: STATE_INVALID when one is missing or they do not belong together.
absl::StatusOr<RsaPrivateKey> ImportRsaKey(const std::map<std::string, std::string>& numbers);

}  // namespace cmkstore::crypto
