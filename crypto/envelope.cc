#include "crypto/envelope.h"

#include <zstd.h>

#include <cstring>
#include <span>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/envelope_layout.h"

namespace cmkstore::crypto {

// Builds the bytes of an envelope; the only maker of a SealedDocument beside Parse.
class EnvelopeWriter {
 public:
  static SealedDocument Finish(std::string bytes) { return SealedDocument(std::move(bytes)); }
};

namespace {

static_assert(kSizePrefixBytes + ZSTD_COMPRESSBOUND(kMaxPlaintextBytes) + kPaddingBucketBytes <=
              kMaxPackedBytes);

std::span<uint8_t> MutableBytes(std::string& text) {
  return {reinterpret_cast<uint8_t*>(text.data()), text.size()};
}

std::span<const uint8_t> Bytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

template <typename Key>
const XaesKey& KeyFor(const Key& key, RowKind kind) {
  return kind == RowKind::kHubSecrets ? key.hub_secrets_key() : key.document_key();
}

// The frame's own length ends it; the zeros behind it are checked when it is opened.
absl::StatusOr<std::string> Compress(absl::string_view plaintext) {
  std::string packed(kSizePrefixBytes + ZSTD_compressBound(plaintext.size()), '\0');
  for (size_t i = 0; i < kSizePrefixBytes; ++i) {
    packed[i] = static_cast<char>(plaintext.size() >> (8 * (kSizePrefixBytes - 1 - i)));
  }
  const size_t frame =
      ZSTD_compress(packed.data() + kSizePrefixBytes, packed.size() - kSizePrefixBytes,
                    plaintext.data(), plaintext.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(frame)) return InvariantBroken("zstd could not compress a row");
  const size_t used = kSizePrefixBytes + frame;
  packed.resize(used);
  packed.resize((used + kPaddingBucketBytes - 1) / kPaddingBucketBytes * kPaddingBucketBytes, '\0');
  return packed;
}

absl::StatusOr<std::string> Decompress(absl::string_view packed) {
  if (packed.size() < kSizePrefixBytes) return DocumentCorrupt();
  size_t size = 0;
  for (size_t i = 0; i < kSizePrefixBytes; ++i) {
    size = size << 8 | static_cast<uint8_t>(packed[i]);
  }
  if (size > kMaxPlaintextBytes) return DocumentCorrupt();  // before anything is allocated for it
  const absl::string_view framed = packed.substr(kSizePrefixBytes);
  const size_t frame = ZSTD_findFrameCompressedSize(framed.data(), framed.size());
  if (ZSTD_isError(frame) || framed.find_first_not_of('\0', frame) != absl::string_view::npos) {
    return DocumentCorrupt();
  }
  std::string plaintext(size, '\0');
  const size_t opened = ZSTD_decompress(plaintext.data(), size, framed.data(), frame);
  if (ZSTD_isError(opened) || opened != size) return DocumentCorrupt();
  return plaintext;
}

void WriteHeader(const DekId& dek_id, uint64_t revision, uint8_t flags, std::string& bytes) {
  bytes[0] = static_cast<char>(kMagic0);
  bytes[1] = static_cast<char>(kMagic1);
  bytes[kVersionOffset] = static_cast<char>(kFormatVersion);
  bytes[kSuiteOffset] = static_cast<char>(kSuiteKcXaes);
  bytes[kFlagsOffset] = static_cast<char>(flags);
  std::memcpy(bytes.data() + kDekIdOffset, dek_id.bytes().data(), DekId::kBytes);
  for (size_t i = 0; i < 8; ++i) {
    bytes[kRevisionOffset + i] = static_cast<char>(revision >> (8 * (7 - i)));
  }
}

SealedDocument SealPayload(const SealKey& key, const Binding& binding, uint64_t revision,
                           uint8_t flags, absl::string_view payload, Random& random) {
  std::string bytes(SealedDocument::kOverheadBytes + payload.size(), '\0');
  WriteHeader(key.dek_id(), revision, flags, bytes);
  XaesNonce nonce;
  random.Fill(nonce);
  std::memcpy(bytes.data() + SealedDocument::kHeaderBytes, nonce.data(), nonce.size());
  const std::string data =
      binding.AssociatedData(absl::string_view(bytes).substr(0, SealedDocument::kHeaderBytes));
  const XaesKey& cipher = KeyFor(key, binding.kind);
  const size_t sealed_bytes = payload.size() + kXaesTagBytes;
  cipher.Seal(nonce, Bytes(payload), Bytes(data),
              MutableBytes(bytes).subspan(SealedDocument::kIdentityBytes, sealed_bytes));
  const XaesCommitment commitment = cipher.Commit(nonce);
  std::memcpy(bytes.data() + SealedDocument::kIdentityBytes + sealed_bytes, commitment.data(),
              commitment.size());
  return EnvelopeWriter::Finish(std::move(bytes));
}

}  // namespace

absl::StatusOr<SealedDocument> Seal(const SealKey& key, const Binding& binding, uint64_t revision,
                                    absl::string_view plaintext, Random& random,
                                    Compression compression) {
  // Parse would refuse it for ever: a write must fail rather than be lost.
  if (plaintext.size() > kMaxPlaintextBytes) {
    return InvariantBroken("a row is larger than an envelope holds");
  }
  if (compression == Compression::kZstdPadded) {
    CMK_ASSIGN_OR_RETURN(const std::string packed, Compress(plaintext));
    return SealPayload(key, binding, revision, kFlagZstd | kFlagPadded, packed, random);
  }
  return SealPayload(key, binding, revision, 0, plaintext, random);
}

absl::StatusOr<std::string> Open(const OpenKey& key, const Binding& binding,
                                 const SealedDocument& sealed) {
  if (sealed.dek_id() != key.dek_id()) return DekNotFound();
  const absl::string_view bytes = sealed.bytes();
  const XaesKey& cipher = KeyFor(key, binding.kind);
  XaesNonce nonce;
  std::memcpy(nonce.data(), bytes.data() + SealedDocument::kHeaderBytes, nonce.size());
  const absl::string_view commitment = bytes.substr(bytes.size() - kXaesCommitmentBytes);
  // Before anything is opened: a ciphertext made to open under two keys stops here.
  if (!ConstantTimeEquals(cipher.Commit(nonce), Bytes(commitment))) return DocumentCorrupt();
  const absl::string_view body =
      bytes.substr(SealedDocument::kIdentityBytes,
                   bytes.size() - SealedDocument::kIdentityBytes - kXaesCommitmentBytes);
  const std::string data = binding.AssociatedData(bytes.substr(0, SealedDocument::kHeaderBytes));
  std::string plaintext(body.size() - kXaesTagBytes, '\0');
  CMK_RETURN_IF_ERROR(cipher.Open(nonce, Bytes(body), Bytes(data), MutableBytes(plaintext)));
  if (bytes[kFlagsOffset] == 0) return plaintext;
  return Decompress(plaintext);
}

}  // namespace cmkstore::crypto
