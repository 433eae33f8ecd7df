#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::crypto {

inline constexpr size_t kXaesKeyBytes = 32;
inline constexpr size_t kXaesNonceBytes = 24;
inline constexpr size_t kXaesTagBytes = 16;
inline constexpr size_t kXaesCommitmentBytes = 32;

using XaesNonce = std::array<uint8_t, kXaesNonceBytes>;
using XaesCommitment = std::array<uint8_t, kXaesCommitmentBytes>;

// XAES-256-GCM (C2SP) with the optional key commitment of ePrint 2025/758 ("KC-XAES-256-GCM").
//
// A 24-byte random nonce is safe for 2^80 messages under one key. The commitment binds key and
// nonce, so that a ciphertext opens under one key only; check it before Open.
//
// Thread-safe: any number of threads may seal and open with one object; it caches the key schedule
// and subkey K1, and holds no other state.
//
// Errors: Open gives DOCUMENT_CORRUPT, always the same one, and releases nothing.
class XaesKey {
 public:
  // Errors: INVARIANT when `key` has not 32 bytes.
  static absl::StatusOr<std::unique_ptr<XaesKey>> Create(const SecretBytes& key);
  ~XaesKey();
  XaesKey(const XaesKey&) = delete;
  XaesKey& operator=(const XaesKey&) = delete;

  // Writes ciphertext and tag to `out`, whose size must be plaintext.size() + kXaesTagBytes. `out`
  // may begin where `plaintext` does (in-place); other overlaps are not allowed.
  void Seal(const XaesNonce& nonce, std::span<const uint8_t> plaintext,
            std::span<const uint8_t> associated_data, std::span<uint8_t> out) const;
  // Writes the plaintext to `out`, whose size must be sealed.size() - kXaesTagBytes.
  absl::Status Open(const XaesNonce& nonce, std::span<const uint8_t> sealed,
                    std::span<const uint8_t> associated_data, std::span<uint8_t> out) const;
  XaesCommitment Commit(const XaesNonce& nonce) const;

 private:
  struct Schedule;
  explicit XaesKey(std::unique_ptr<Schedule> schedule);
  std::unique_ptr<Schedule> schedule_;
};

}  // namespace cmkstore::crypto
