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

// Largest plaintext that an envelope may hold: the kept answer to a batch of 8 MiB, with the names
// and times of its 500 documents, is the largest row that is sealed. Seal and Parse refuse what is
// larger.
inline constexpr size_t kMaxPlaintextBytes = 16u << 20;
// Compressed payload: u32 big-endian plaintext size ‖ zstd frame ‖ zeros up to the next bucket.
inline constexpr size_t kSizePrefixBytes = 4;
inline constexpr size_t kPaddingBucketBytes = 64;
// Its largest size: zstd makes what it cannot compress larger by less than 1/256
// (ZSTD_compressBound).
inline constexpr size_t kMaxPackedBytes =
    kSizePrefixBytes + kMaxPlaintextBytes + (kMaxPlaintextBytes >> 8) + kPaddingBucketBytes;

}  // namespace cmkstore::crypto
