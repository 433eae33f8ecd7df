#include "crypto/x509_verify.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

const unsigned char* Data(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Thumbprint(const X509* certificate, const EVP_MD* digest) {
  std::string bytes(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  X509_digest(certificate, digest, reinterpret_cast<unsigned char*>(bytes.data()), &size);
  bytes.resize(size);
  return bytes;
}

}  // namespace

absl::StatusOr<CertificateVerifier> CertificateVerifier::FromPem(const std::string& pem) {
  const Owned<BIO> bio = Reading(pem);
  const Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return StateInvalid("it is no PEM certificate");
  EVP_PKEY* key = X509_get_pubkey(certificate.get());
  if (key == nullptr) return StateInvalid("its key is of a kind that is not known");
  std::shared_ptr<evp_pkey_st> owned(key, EVP_PKEY_free);
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) return StateInvalid("its key is not RSA");
  return CertificateVerifier(Thumbprint(certificate.get(), EVP_sha1()),
                             Thumbprint(certificate.get(), EVP_sha256()), std::move(owned));
}

bool CertificateVerifier::Verify(absl::string_view algorithm, absl::string_view message,
                                 absl::string_view signature) const {
  if (algorithm != "RS256" && algorithm != "PS256") return false;
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &parameters, EVP_sha256(), nullptr, key_.get()) != 1) {
    return false;
  }
  if (algorithm == "PS256" &&
      (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  return EVP_DigestVerify(context.get(), Data(signature), signature.size(), Data(message),
                          message.size()) == 1;
}

}  // namespace cmkstore::crypto
