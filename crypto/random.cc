#include "crypto/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace cmkstore::crypto {

SecretBytes Random::Secret(size_t size) {
  SecretBytes secret(size);
  Fill(secret.MutableReveal());
  return secret;
}

void SystemRandom::Fill(std::span<uint8_t> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got = getrandom(out.data() + filled, out.size() - filled, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();  // without randomness nothing may be sealed
    }
    filled += static_cast<size_t>(got);
  }
}

}  // namespace cmkstore::crypto
