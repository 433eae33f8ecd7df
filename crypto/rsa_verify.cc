#include "crypto/rsa_verify.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <utility>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

constexpr int kMinBits = 2048;
constexpr int kMaxBits = 4096;

Owned<BIGNUM> Number(absl::string_view bytes) {
  return Owned<BIGNUM>(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                                 static_cast<int>(bytes.size()), nullptr));
}

}  // namespace

absl::StatusOr<RsaPublicKey> RsaPublicKey::Create(absl::string_view n, absl::string_view e) {
  const Owned<BIGNUM> modulus = Number(n);
  const Owned<BIGNUM> exponent = Number(e);
  const int bits = BN_num_bits(modulus.get());
  if (bits < kMinBits || bits > kMaxBits) {
    return TokenInvalid("its issuer's key is not RSA of 2048 to 4096 bits");
  }
  if (!BN_is_odd(exponent.get()) || BN_num_bits(exponent.get()) < 2 ||
      BN_num_bits(exponent.get()) > 64) {
    return TokenInvalid("its issuer's key has an unfit exponent");
  }
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  const Owned<OSSL_PARAM> params(OSSL_PARAM_BLD_to_param(builder.get()));
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    ERR_clear_error();
    return TokenInvalid("its issuer's key cannot be used");
  }
  return RsaPublicKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free));
}

absl::Status RsaPublicKey::VerifyRs256(absl::string_view message,
                                       absl::string_view signature) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  if (EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                       message.size()) == 1) {
    return absl::OkStatus();
  }
  // What stays in the thread's queue would be read as a fault of the next TLS call on it.
  ERR_clear_error();
  return TokenInvalid("its signature does not verify");
}

}  // namespace cmkstore::crypto
