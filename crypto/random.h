#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::crypto {

// Source of unpredictable bytes. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<uint8_t> out) = 0;

  SecretBytes Secret(size_t size);
  template <typename UidType>
  UidType NewUid() {
    std::array<uint8_t, UidType::kBytes> bytes;
    Fill(bytes);
    return UidType(bytes);
  }
};

// getrandom(2), one call per Fill and never buffered: a restored snapshot of the machine must not
// replay a nonce. Aborts the process if the kernel cannot deliver.
class SystemRandom final : public Random {
 public:
  void Fill(std::span<uint8_t> out) override;
};

}  // namespace cmkstore::crypto
