#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cmkstore::crypto {

// The earliest end of validity among the certificates of a PEM text (a certificate, a chain or a CA
// bundle; keys beside them are passed over). Errors: STATE_INVALID when there is no certificate in
// it, or one that cannot be read.
absl::StatusOr<absl::Time> EarliestCertificateEnd(const std::string& pem);

// Whether the first certificate of a PEM text is valid at `now`: those behind it may have ended, as
// a root that signed another one before it ended. Errors: STATE_INVALID saying since when it is not
// valid any more or from when on it will be, or that it cannot be read.
absl::Status CheckCertificateIsCurrent(const std::string& pem, absl::Time now);

}  // namespace cmkstore::crypto
