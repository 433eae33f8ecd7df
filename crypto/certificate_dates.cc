#include "crypto/certificate_dates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {}  // namespace

absl::StatusOr<absl::Time> EarliestCertificateEnd(const std::string& pem) {
  const Owned<BIO> bio = Reading(pem);
  absl::Time earliest = absl::InfiniteFuture();
  ERR_clear_error();
  while (const auto certificate =
             Owned<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))) {
    std::tm end{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) {
      return StateInvalid("the end of a certificate cannot be read");
    }
    earliest = std::min(earliest, absl::FromTimeT(timegm(&end)));
  }
  // The end of the text is an error too, and the only one that is none.
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return StateInvalid("a certificate cannot be read");
  }
  if (earliest == absl::InfiniteFuture()) return StateInvalid("there is no PEM certificate in it");
  return earliest;
}

}  // namespace cmkstore::crypto
