#include "crypto/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "crypto/certificate_dates.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

absl::Status CheckCertificates(const char* which, const std::string& pem) {
  const absl::Status read = EarliestCertificateEnd(pem).status();
  return read.ok() ? read : StateInvalid(absl::StrCat("the ", which, ": ", read.message()));
}

}  // namespace

absl::Status CheckTlsIdentity(const std::string& certificates, const std::string& key,
                              const std::string& client_ca) {
  if (const absl::Status read = CheckCertificates("certificate", certificates); !read.ok()) {
    return read;
  }
  if (const absl::Status read = CheckCertificates("client CA", client_ca); !read.ok()) return read;
  const Owned<X509> own(PEM_read_bio_X509(Reading(certificates).get(), nullptr, nullptr, nullptr));
  const Owned<EVP_PKEY> secret(
      PEM_read_bio_PrivateKey(Reading(key).get(), nullptr, NoPassword, nullptr));
  const bool pair =
      own != nullptr && secret != nullptr && X509_check_private_key(own.get(), secret.get()) == 1;
  ERR_clear_error();
  if (secret == nullptr) return StateInvalid("the key: there is no unencrypted PEM key in it");
  return pair ? absl::OkStatus() : StateInvalid("the key is not that of the certificate");
}

}  // namespace cmkstore::crypto
