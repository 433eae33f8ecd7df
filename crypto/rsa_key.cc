#include "crypto/rsa_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <utility>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

const unsigned char* Data(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string NumberBytes(EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) std::abort();
  const Owned<BIGNUM> number(raw);
  std::string bytes(static_cast<size_t>(BN_num_bytes(number.get())), '\0');
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes;
}

void UseOaep256(EVP_PKEY_CTX* context) {
  EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING);
  EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256());
  EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256());
}

}  // namespace

absl::StatusOr<RsaPrivateKey> RsaPrivateKey::Generate(int bits) {
  EVP_PKEY* key = EVP_RSA_gen(static_cast<unsigned int>(bits));
  if (key == nullptr) return InvariantBroken("an RSA key could not be made");
  return RsaPrivateKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free));
}

absl::StatusOr<RsaPrivateKey> RsaPrivateKey::FromPem(const std::string& pem) {
  const Owned<BIO> bio = Reading(pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr);
  if (key == nullptr) {
    ERR_clear_error();
    return StateInvalid("there is no unencrypted PEM key in a private key file");
  }
  return RsaPrivateKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free));
}

std::string RsaPrivateKey::ToPem() const {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string RsaPrivateKey::ModulusBytes() const {
  return NumberBytes(key_.get(), OSSL_PKEY_PARAM_RSA_N);
}
std::string RsaPrivateKey::ExponentBytes() const {
  return NumberBytes(key_.get(), OSSL_PKEY_PARAM_RSA_E);
}
int RsaPrivateKey::bits() const { return EVP_PKEY_get_bits(key_.get()); }

std::string RsaPrivateKey::SignRs256(absl::string_view message) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  size_t size = static_cast<size_t>(EVP_PKEY_get_size(key_.get()));
  std::string signature(size, '\0');
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     Data(message), message.size()) != 1) {
    std::abort();
  }
  return signature;
}

std::string RsaPrivateKey::OaepEncrypt(absl::string_view plaintext) const {
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  size_t size = static_cast<size_t>(EVP_PKEY_get_size(key_.get()));
  std::string ciphertext(size, '\0');
  EVP_PKEY_encrypt_init(context.get());
  UseOaep256(context.get());
  if (EVP_PKEY_encrypt(context.get(), reinterpret_cast<unsigned char*>(ciphertext.data()), &size,
                       Data(plaintext), plaintext.size()) != 1) {
    ERR_clear_error();
    return "";
  }
  return ciphertext;
}

absl::StatusOr<std::string> RsaPrivateKey::OaepDecrypt(absl::string_view ciphertext) const {
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  size_t size = static_cast<size_t>(EVP_PKEY_get_size(key_.get()));
  std::string plaintext(size, '\0');
  EVP_PKEY_decrypt_init(context.get());
  UseOaep256(context.get());
  if (EVP_PKEY_decrypt(context.get(), reinterpret_cast<unsigned char*>(plaintext.data()), &size,
                       Data(ciphertext), ciphertext.size()) != 1) {
    ERR_clear_error();
    return DekRecordCorrupt("it was not encrypted for this key");
  }
  plaintext.resize(size);
  return plaintext;
}

}  // namespace cmkstore::crypto
