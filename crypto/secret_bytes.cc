#include "crypto/secret_bytes.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace cmkstore::crypto {
namespace {

std::atomic<uint64_t> overflowed{0};
std::atomic<uint64_t> unlocked{0};

// A block of ordinary memory for a secret that the reserved heap has no room for. Its pages stay
// locked when it is freed: another secret may be on them, and mlock does not count.
void* AllocateOverflow(size_t size) {
  void* const block = OPENSSL_zalloc(size);
  if (block == nullptr) std::abort();  // a null secret would be read as an empty key
  overflowed.fetch_add(1, std::memory_order_relaxed);
  if (mlock(block, size) != 0) unlocked.fetch_add(1, std::memory_order_relaxed);
  return block;
}

uint8_t* Allocate(size_t size) {
  if (size == 0) return nullptr;
  void* block = CRYPTO_secure_malloc_initialized() ? OPENSSL_secure_zalloc(size) : nullptr;
  if (block == nullptr) {
    ERR_clear_error();  // of the full heap: not a fault of what the thread does next
    block = AllocateOverflow(size);
  }
  return static_cast<uint8_t*>(block);
}

}  // namespace

bool ReserveSecretMemory(size_t bytes) {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (CRYPTO_secure_malloc_initialized()) return true;
  constexpr size_t kSmallestBlock = 32;
  // OpenSSL aborts the process on a size that is no power of two.
  return CRYPTO_secure_malloc_init(std::bit_ceil(bytes), kSmallestBlock) == 1;
}

SecretMemory SecretMemoryNow() {
  return {CRYPTO_secure_malloc_initialized() ? CRYPTO_secure_used() : 0,
          overflowed.load(std::memory_order_relaxed), unlocked.load(std::memory_order_relaxed)};
}

SecretBytes::SecretBytes(size_t size) : data_(Allocate(size)), size_(size) {}

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

// Wipes and frees a block of either kind.
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
