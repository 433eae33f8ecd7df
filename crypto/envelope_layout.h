#pragma once

#include <cstddef>
#include <cstdint>

namespace cmkstore::crypto {

// Envelope v1, byte for byte (docs/envelope_format.md). On disk; never renumber.
//
//  off len
//    0   2  magic 43 4B ("CK")
//    2   1  format version = 01
//    3   1  suite: 02 = KC-XAES-256-GCM
//    4   1  flags: bits 0-1 compression (0 none, 1 zstd), bit 2 padded; rest 0
//    5   3  reserved, zero
//    8  16  dek_id
//   24   8  revision, big endian
//   32  24  nonce
//   56   n  ciphertext
//   ..  16  tag
//   ..  32  key commitment
inline constexpr uint8_t kMagic0 = 0x43;
inline constexpr uint8_t kMagic1 = 0x4b;
inline constexpr uint8_t kFormatVersion = 0x01;
inline constexpr uint8_t kSuiteKcXaes = 0x02;
inline constexpr uint8_t kFlagZstd = 0x01;
inline constexpr uint8_t kFlagPadded = 0x04;

inline constexpr size_t kVersionOffset = 2;
inline constexpr size_t kSuiteOffset = 3;
inline constexpr size_t kFlagsOffset = 4;
inline constexpr size_t kReservedOffset = 5;
inline constexpr size_t kDekIdOffset = 8;
inline constexpr size_t kRevisionOffset = 24;

// Largest plaintext that an envelope may hold: a document of 1 MiB with its labels and names.
inline constexpr size_t kMaxPlaintextBytes = (1u << 20) + (64u << 10);

}  // namespace cmkstore::crypto
