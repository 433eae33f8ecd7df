#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/rsa_key.h"

namespace cmkstore::crypto {

// Certificates for development, valid for 30 days. Production brings its own.

// A self-signed CA as PEM.
std::string MintCa(const RsaPrivateKey& key, const std::string& common_name);
// A certificate for servers and clients, signed by the CA, as PEM. `names` are as in
// subjectAltName: "DNS:localhost", "IP:127.0.0.1". Errors: INVARIANT.
absl::StatusOr<std::string> MintCertificate(const RsaPrivateKey& ca_key, const std::string& ca_pem,
                                            const RsaPrivateKey& key,
                                            const std::string& common_name,
                                            const std::vector<std::string>& names);

}  // namespace cmkstore::crypto
