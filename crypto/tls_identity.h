#pragma once

#include <string>

#include "absl/status/status.h"

namespace cmkstore::crypto {

// Whether a server can show `certificates` (PEM, its own first) with `key` (PEM, unencrypted), and
// check callers against `client_ca` (PEM, one or more). Dates are not looked at:
// CheckCertificateIsCurrent does.
//
// Errors: STATE_INVALID saying which of them cannot be read, or that key and certificate are no
// pair.
absl::Status CheckTlsIdentity(const std::string& certificates, const std::string& key,
                              const std::string& client_ca);

}  // namespace cmkstore::crypto
