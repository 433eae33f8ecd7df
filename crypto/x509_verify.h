#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_pkey_st;

namespace cmkstore::crypto {

// A registered client certificate, for the program that plays a token endpoint: its thumbprints and
// its signatures. Chain and dates are not looked at: as in Entra ID, the certificate was registered
// by hand. Immutable, thread-safe.
class CertificateVerifier {
 public:
  // The first certificate of a PEM text. Errors: STATE_INVALID.
  static absl::StatusOr<CertificateVerifier> FromPem(const std::string& pem);

  const std::string& sha1_thumbprint() const { return sha1_; }      // 20 raw bytes
  const std::string& sha256_thumbprint() const { return sha256_; }  // 32 raw bytes

  // `algorithm`: RS256 or PS256 (RFC 7518 3.3, 3.5). False for any other and for a signature that
  // does not verify.
  bool Verify(absl::string_view algorithm, absl::string_view message,
              absl::string_view signature) const;

 private:
  CertificateVerifier(std::string sha1, std::string sha256, std::shared_ptr<evp_pkey_st> key)
      : sha1_(std::move(sha1)), sha256_(std::move(sha256)), key_(std::move(key)) {}

  std::string sha1_;
  std::string sha256_;
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace cmkstore::crypto
