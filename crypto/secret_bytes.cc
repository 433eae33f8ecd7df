#include "crypto/secret_bytes.h"

#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstring>
#include <utility>

namespace cmkstore::crypto {

bool ReserveSecretMemory(size_t bytes) {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (CRYPTO_secure_malloc_initialized()) return true;
  constexpr size_t kSmallestBlock = 32;
  return CRYPTO_secure_malloc_init(bytes, kSmallestBlock) == 1;
}

SecretBytes::SecretBytes(size_t size)
    : data_(size == 0 ? nullptr : static_cast<uint8_t*>(OPENSSL_secure_zalloc(size))),
      size_(size) {}

SecretBytes::SecretBytes(std::span<const uint8_t> bytes) : SecretBytes(bytes.size()) {
  if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBytes::~SecretBytes() { OPENSSL_secure_clear_free(data_, size_); }

SecretBytes SecretBytes::Clone() const { return SecretBytes(Reveal()); }

bool SecretBytes::EqualsInConstantTime(std::span<const uint8_t> other) const {
  return ConstantTimeEquals(Reveal(), other);
}

void Wipe(std::string& bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

bool ConstantTimeEquals(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace cmkstore::crypto
