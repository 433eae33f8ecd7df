#include "crypto/certificate_dates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

std::optional<absl::Time> TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return absl::FromTimeT(timegm(&parts));
}

}  // namespace

absl::StatusOr<absl::Time> EarliestCertificateEnd(const std::string& pem) {
  const Owned<BIO> bio = Reading(pem);
  absl::Time earliest = absl::InfiniteFuture();
  ERR_clear_error();
  while (const auto certificate =
             Owned<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))) {
    const auto end = TimeOf(X509_get0_notAfter(certificate.get()));
    if (!end.has_value()) return StateInvalid("the end of a certificate cannot be read");
    earliest = std::min(earliest, *end);
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

absl::Status CheckCertificateIsCurrent(const std::string& pem, absl::Time now) {
  const Owned<X509> certificate(PEM_read_bio_X509(Reading(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) return StateInvalid("the certificate cannot be read");
  const auto begin = TimeOf(X509_get0_notBefore(certificate.get()));
  const auto end = TimeOf(X509_get0_notAfter(certificate.get()));
  if (!begin.has_value() || !end.has_value()) {
    return StateInvalid("the dates of the certificate cannot be read");
  }
  const auto utc = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
  };
  if (now > *end) return StateInvalid(absl::StrCat("the certificate ended at ", utc(*end)));
  if (now >= *begin) return absl::OkStatus();
  return StateInvalid(absl::StrCat("the certificate is valid from ", utc(*begin), " on only"));
}

}  // namespace cmkstore::crypto
