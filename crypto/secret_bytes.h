#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cmkstore::crypto {

// Reserves `bytes` (rounded up to a power of two) of locked, never-dumped memory for keys (OpenSSL
// secure heap) and makes the process not dumpable. Call once at start, before the first
// SecretBytes; without it, or when the heap is full, secrets live in ordinary memory that is locked
// where the system allows it, and still wiped. Returns false if the memory cannot be locked.
bool ReserveSecretMemory(size_t bytes);

// Where the secrets of this process live.
struct SecretMemory {
  size_t reserved_used_bytes = 0;  // of the reserved heap, now
  uint64_t overflowed = 0;         // secrets since the start that the heap had no room for
  uint64_t unlocked = 0;  // of those: the ones that could not be locked either (RLIMIT_MEMLOCK)
};
SecretMemory SecretMemoryNow();

// Key material: held in locked memory, wiped when destroyed, never printed.
//
// It has no `<<`, no conversion to a string and no ==; its bytes come out only through Reveal, so
// that one search finds every place that touches a secret. Move-only; Clone says aloud that a copy
// is made.
//
// Not thread-safe for writing; const access from many threads is safe.
class SecretBytes {
 public:
  SecretBytes() = default;
  // `size` zero bytes, to be filled through MutableReveal.
  explicit SecretBytes(size_t size);
  // Copies `bytes`; the caller wipes its own.
  explicit SecretBytes(std::span<const uint8_t> bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes Clone() const;
  std::span<const uint8_t> Reveal() const { return {data_, size_}; }
  std::span<uint8_t> MutableReveal() { return {data_, size_}; }
  size_t size() const { return size_; }

  // Constant-time for equal sizes.
  bool EqualsInConstantTime(std::span<const uint8_t> other) const;

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Overwrites bytes that held a secret, before their memory is given back.
void Wipe(std::string& bytes);

// Whether two byte strings of public length are equal, in time that depends on the length only.
bool ConstantTimeEquals(std::span<const uint8_t> a, std::span<const uint8_t> b);

}  // namespace cmkstore::crypto
