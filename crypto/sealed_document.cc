#include "crypto/sealed_document.h"

#include "base/errors.h"
#include "crypto/envelope_layout.h"

namespace cmkstore::crypto {

absl::StatusOr<SealedDocument> SealedDocument::Parse(std::string bytes) {
  if (bytes.size() < kOverheadBytes) return DocumentCorrupt();
  const auto at = [&bytes](size_t offset) { return static_cast<uint8_t>(bytes[offset]); };
  if (at(0) != kMagic0 || at(1) != kMagic1 || at(kVersionOffset) == 0) return DocumentCorrupt();
  if (at(kVersionOffset) > kFormatVersion || at(kSuiteOffset) != kSuiteKcXaes) {
    return FormatTooNew("a stored document");
  }
  const uint8_t flags = at(kFlagsOffset);
  const bool known_flags = flags == 0 || flags == (kFlagZstd | kFlagPadded);
  const bool reserved_zero =
      at(kReservedOffset) == 0 && at(kReservedOffset + 1) == 0 && at(kReservedOffset + 2) == 0;
  if (!known_flags || !reserved_zero) return DocumentCorrupt();
  const size_t max_payload = flags == 0 ? kMaxPlaintextBytes : kMaxPackedBytes;
  if (bytes.size() > kOverheadBytes + max_payload) return DocumentCorrupt();
  return SealedDocument(std::move(bytes));
}

DekId SealedDocument::dek_id() const {
  return *DekId::FromBytes(absl::string_view(bytes_).substr(kDekIdOffset, DekId::kBytes));
}

uint64_t SealedDocument::revision() const {
  uint64_t revision = 0;
  for (size_t i = 0; i < 8; ++i) {
    revision = revision << 8 | static_cast<uint8_t>(bytes_[kRevisionOffset + i]);
  }
  return revision;
}

}  // namespace cmkstore::crypto
