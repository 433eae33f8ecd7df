#include "crypto/key_wrap.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <cstdlib>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

constexpr size_t kIntegrityBytes = 8;

Owned<EVP_CIPHER_CTX> WrapContext() {
  Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  return context;
}

}  // namespace

std::string AesKeyWrap(const SecretBytes& kek, const SecretBytes& key) {
  const auto context = WrapContext();
  std::string wrapped(key.size() + kIntegrityBytes, '\0');
  int size = 0;
  if (EVP_EncryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, kek.Reveal().data(),
                         nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), reinterpret_cast<unsigned char*>(wrapped.data()), &size,
                        key.Reveal().data(), static_cast<int>(key.size())) != 1) {
    std::abort();
  }
  return wrapped;
}

absl::StatusOr<SecretBytes> AesKeyUnwrap(const SecretBytes& kek, absl::string_view wrapped) {
  if (wrapped.size() != 32 + kIntegrityBytes) return DekRecordCorrupt("it has a wrong length");
  const auto context = WrapContext();
  SecretBytes key(wrapped.size());  // OpenSSL may use the room of the integrity block
  int size = 0;
  if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, kek.Reveal().data(),
                         nullptr) != 1 ||
      EVP_DecryptUpdate(context.get(), key.MutableReveal().data(), &size,
                        reinterpret_cast<const unsigned char*>(wrapped.data()),
                        static_cast<int>(wrapped.size())) != 1 ||
      size != 32) {
    ERR_clear_error();
    return DekRecordCorrupt("it was not wrapped by this key");
  }
  return SecretBytes(key.Reveal().first(32));
}

}  // namespace cmkstore::crypto
