#include "crypto/rsa_vault_operations.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <utility>
#include <vector>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

const unsigned char* Data(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Room(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Owned<EVP_PKEY_CTX> ContextOf(const RsaPrivateKey& key) {
  return Owned<EVP_PKEY_CTX>(EVP_PKEY_CTX_new(key.get(), nullptr));
}

bool UsePadding(EVP_PKEY_CTX* context, absl::string_view algorithm) {
  if (algorithm == "RSA1_5") return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  const EVP_MD* digest = algorithm == "RSA-OAEP-256" ? EVP_sha256()
                         : algorithm == "RSA-OAEP"   ? EVP_sha1()
                                                     : nullptr;
  return digest != nullptr && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, digest) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1;
}

bool UseSignature(EVP_PKEY_CTX* context, absl::string_view algorithm, size_t digest_size) {
  if (algorithm.size() != 5) return false;
  const absl::string_view bits = algorithm.substr(2);
  const EVP_MD* digest = bits == "256"   ? EVP_sha256()
                         : bits == "384" ? EVP_sha384()
                         : bits == "512" ? EVP_sha512()
                                         : nullptr;
  if (digest == nullptr || static_cast<size_t>(EVP_MD_get_size(digest)) != digest_size)
    return false;
  const absl::string_view scheme = algorithm.substr(0, 2);
  if (scheme == "RS") {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context, digest) == 1;
  }
  return scheme == "PS" && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_signature_md(context, digest) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

}  // namespace

std::optional<std::string> RsaEncrypt(const RsaPrivateKey& key, absl::string_view algorithm,
                                      absl::string_view plaintext) {
  const auto context = ContextOf(key);
  std::string out(static_cast<size_t>(EVP_PKEY_get_size(key.get())), '\0');
  size_t size = out.size();
  if (EVP_PKEY_encrypt_init(context.get()) != 1 || !UsePadding(context.get(), algorithm) ||
      EVP_PKEY_encrypt(context.get(), Room(out), &size, Data(plaintext), plaintext.size()) != 1) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

std::optional<std::string> RsaDecrypt(const RsaPrivateKey& key, absl::string_view algorithm,
                                      absl::string_view ciphertext) {
  const auto context = ContextOf(key);
  std::string out(static_cast<size_t>(EVP_PKEY_get_size(key.get())), '\0');
  size_t size = out.size();
  if (EVP_PKEY_decrypt_init(context.get()) != 1 || !UsePadding(context.get(), algorithm) ||
      EVP_PKEY_decrypt(context.get(), Room(out), &size, Data(ciphertext), ciphertext.size()) != 1) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

std::optional<std::string> RsaSignDigest(const RsaPrivateKey& key, absl::string_view algorithm,
                                         absl::string_view digest) {
  const auto context = ContextOf(key);
  std::string out(static_cast<size_t>(EVP_PKEY_get_size(key.get())), '\0');
  size_t size = out.size();
  if (EVP_PKEY_sign_init(context.get()) != 1 ||
      !UseSignature(context.get(), algorithm, digest.size()) ||
      EVP_PKEY_sign(context.get(), Room(out), &size, Data(digest), digest.size()) != 1) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

std::optional<bool> RsaVerifyDigest(const RsaPrivateKey& key, absl::string_view algorithm,
                                    absl::string_view digest, absl::string_view signature) {
  const auto context = ContextOf(key);
  if (EVP_PKEY_verify_init(context.get()) != 1 ||
      !UseSignature(context.get(), algorithm, digest.size())) {
    return std::nullopt;
  }
  return EVP_PKEY_verify(context.get(), Data(signature), signature.size(), Data(digest),
                         digest.size()) == 1;
}

absl::StatusOr<RsaPrivateKey> ImportRsaKey(const std::map<std::string, std::string>& numbers) {
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
      {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
      {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
      {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  std::vector<Owned<BIGNUM>> kept;
  for (const auto& [name, parameter] : kNames) {
    const auto found = numbers.find(name);
    if (found == numbers.end() || found->second.empty() || found->second.size() > 1024) {
      return StateInvalid("an RSA key to import needs n, e, d, p, q, dp, dq and qi");
    }
    kept.emplace_back(
        BN_bin2bn(Data(found->second), static_cast<int>(found->second.size()), nullptr));
    OSSL_PARAM_BLD_push_BN(builder.get(), parameter, kept.back().get());
  }
  const Owned<OSSL_PARAM> params(OSSL_PARAM_BLD_to_param(builder.get()));
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* raw = nullptr;
  if (params == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_KEYPAIR, params.get()) != 1) {
    return StateInvalid("the numbers make no RSA key");
  }
  const Owned<EVP_PKEY> key(raw);
  const Owned<EVP_PKEY_CTX> check(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (EVP_PKEY_check(check.get()) != 1) {
    return StateInvalid("the numbers of the RSA key do not belong together");
  }
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return RsaPrivateKey::FromPem(std::string(data, static_cast<size_t>(size)));
}

}  // namespace cmkstore::crypto
