#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cmkstore::crypto {

// The earliest end of validity among the certificates of a PEM text (a certificate, a chain or a CA
// bundle; keys beside them are passed over). Errors: STATE_INVALID when there is no certificate in
// it, or one that cannot be read.
absl::StatusOr<absl::Time> EarliestCertificateEnd(const std::string& pem);

}  // namespace cmkstore::crypto
