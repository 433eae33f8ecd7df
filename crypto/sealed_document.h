#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace cmkstore::crypto {

// A value that nobody without the key can read: envelope v1 (docs/envelope_format.md), as bytes.
//
// Only Seal and Parse make one, so a function that takes a SealedDocument cannot be given
// plaintext. Parse checks what can be checked without a key (magic, version, suite, reserved bits,
// length); whether it opens is decided by Open.
//
// Value type, movable without copying the bytes.
class SealedDocument {
 public:
  // Errors: FORMAT_TOO_NEW for a later version or an unknown suite of the same magic;
  // DOCUMENT_CORRUPT for everything else that is not an envelope.
  static absl::StatusOr<SealedDocument> Parse(std::string bytes);

  DekId dek_id() const;
  uint64_t revision() const;
  // The header and nonce: unlike for any other envelope ever made, so enough to compare two rows
  // by.
  absl::string_view identity() const { return absl::string_view(bytes_).substr(0, kIdentityBytes); }
  absl::string_view bytes() const { return bytes_; }
  std::string Release() && { return std::move(bytes_); }

  static constexpr size_t kHeaderBytes = 32;
  static constexpr size_t kNonceBytes = 24;
  static constexpr size_t kIdentityBytes = kHeaderBytes + kNonceBytes;
  // What an envelope adds to its plaintext: header, nonce, tag, commitment.
  static constexpr size_t kOverheadBytes = kIdentityBytes + 16 + 32;

 private:
  friend class EnvelopeWriter;  // of envelope.cc
  explicit SealedDocument(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string bytes_;
};

}  // namespace cmkstore::crypto
