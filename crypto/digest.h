#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::crypto {

// 32 raw bytes each. FIPS 180-4, RFC 2104. Thread-safe.
std::string Sha256(absl::string_view bytes);
std::string HmacSha256(std::span<const uint8_t> key, absl::string_view bytes);

// HMAC-SHA256 of several messages under one key, for as long as this lives. One per thread at a
// time: it uses the thread's context, and leaves it without the key.
class HmacSha256Session {
 public:
  explicit HmacSha256Session(std::span<const uint8_t> key);
  ~HmacSha256Session();
  HmacSha256Session(const HmacSha256Session&) = delete;
  HmacSha256Session& operator=(const HmacSha256Session&) = delete;

  std::array<uint8_t, 32> Mac(absl::string_view bytes);
};

// Sha256 over bytes that come piece by piece. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void Add(absl::string_view bytes);
  // Of what was added; the next Add begins anew.
  std::string Finish();

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

}  // namespace cmkstore::crypto
