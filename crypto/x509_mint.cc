#include "crypto/x509_mint.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

constexpr long kLifetimeSeconds = 30L * 24 * 60 * 60;
constexpr long kSkewSeconds = 5L * 60;

Owned<X509> NewCertificate(const RsaPrivateKey& key, const std::string& common_name) {
  Owned<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kSkewSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kLifetimeSeconds);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  return certificate;
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string ToPem(X509* certificate) {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

std::string MintCa(const RsaPrivateKey& key, const std::string& common_name) {
  const Owned<X509> ca = NewCertificate(key, common_name);
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  AddExtension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(ca.get(), ca.get(), NID_subject_key_identifier, "hash");
  X509_sign(ca.get(), key.get(), EVP_sha256());
  return ToPem(ca.get());
}

absl::StatusOr<std::string> MintCertificate(const RsaPrivateKey& ca_key, const std::string& ca_pem,
                                            const RsaPrivateKey& key,
                                            const std::string& common_name,
                                            const std::vector<std::string>& names) {
  const Owned<BIO> bio = Reading(ca_pem);
  const Owned<X509> ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (ca == nullptr) {
    ERR_clear_error();
    return InvariantBroken("the CA is no PEM certificate");
  }
  const Owned<X509> certificate = NewCertificate(key, common_name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(ca.get()));
  AddExtension(certificate.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(certificate.get(), ca.get(), NID_key_usage,
               "critical,digitalSignature,keyEncipherment");
  AddExtension(certificate.get(), ca.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  AddExtension(certificate.get(), ca.get(), NID_subject_alt_name, absl::StrJoin(names, ","));
  AddExtension(certificate.get(), ca.get(), NID_authority_key_identifier, "keyid");
  X509_sign(certificate.get(), ca_key.get(), EVP_sha256());
  return ToPem(certificate.get());
}

}  // namespace cmkstore::crypto
