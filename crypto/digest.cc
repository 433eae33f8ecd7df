#include "crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <cstdlib>

namespace cmkstore::crypto {
namespace {

// These calls fail only when the library or the machine is broken: nothing may go on then.
void Require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

std::string Sha256(absl::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  Require(SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                 reinterpret_cast<unsigned char*>(digest.data())) != nullptr);
  return digest;
}

std::string HmacSha256(std::span<const uint8_t> key, absl::string_view bytes) {
  std::string mac(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = 0;
  Require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
               reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
               reinterpret_cast<unsigned char*>(mac.data()), &size) != nullptr);
  return mac;
}

}  // namespace cmkstore::crypto
