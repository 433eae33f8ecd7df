#include "crypto/cmac_kdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstdlib>

#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

// These calls fail only when the library or the machine is broken: nothing may go on then.
void Require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

std::string AesCmac(std::span<const uint8_t> key, absl::string_view message) {
  static EVP_MAC* const cmac = EVP_MAC_fetch(nullptr, "CMAC", nullptr);
  const Owned<EVP_MAC_CTX> context(EVP_MAC_CTX_new(cmac));
  char cipher[] = "AES-256-CBC";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
      OSSL_PARAM_construct_end(),
  };
  std::string mac(16, '\0');
  size_t size = 0;
  Require(EVP_MAC_init(context.get(), key.data(), key.size(), params) == 1);
  Require(EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(message.data()),
                         message.size()) == 1);
  Require(EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(mac.data()), &size,
                        mac.size()) == 1);
  return mac;
}

SecretBytes DeriveKey(const SecretBytes& key, absl::string_view label) {
  static EVP_KDF* const kbkdf = EVP_KDF_fetch(nullptr, "KBKDF", nullptr);
  const Owned<EVP_KDF_CTX> context(EVP_KDF_CTX_new(kbkdf));
  char mac[] = "CMAC";
  char cipher[] = "AES-256-CBC";
  char mode[] = "counter";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_CIPHER, cipher, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
                                        const_cast<uint8_t*>(key.Reveal().data()), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, const_cast<char*>(label.data()),
                                        label.size()),
      OSSL_PARAM_construct_end(),
  };
  SecretBytes derived(32);
  Require(EVP_KDF_derive(context.get(), derived.MutableReveal().data(), derived.size(), params) ==
          1);
  return derived;
}

}  // namespace cmkstore::crypto
