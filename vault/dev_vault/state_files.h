#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/rsa_key.h"

namespace cmkstore::dev_vault {

// Files of the state folder that are made at the first start and kept; mode 0600. Errors:
// STATE_INVALID.

// A random secret of 32 hex digits.
absl::StatusOr<std::string> KeptSecret(const std::string& path);
absl::StatusOr<crypto::RsaPrivateKey> KeptKey(const std::string& path);

// ca.key and tls.key are kept; ca.pem and tls.pem are made anew at each start, since they hold for
// 30 days only.
absl::Status WriteServerCertificate(const std::string& dir, const std::string& host,
                                    const std::vector<std::string>& more_names);

// client.pem: a certificate and its key, kept. Gives the certificate alone, as PEM.
absl::StatusOr<std::string> KeptClientCertificate(const std::string& dir,
                                                  const std::string& client_id);

}  // namespace cmkstore::dev_vault
