// XaesKey and the envelope without cryptography, linked in place of crypto/xaes.cc and
// crypto/envelope.cc into cmkbench_null, the server that shows what sealing costs. Rows keep their
// size and their headers.

#include <cstring>
#include <memory>
#include <string>

#include "base/errors.h"
#include "crypto/envelope.h"
#include "crypto/envelope_layout.h"
#include "crypto/xaes.h"

namespace cmkstore::crypto {

struct XaesKey::Schedule {};

XaesKey::XaesKey(std::unique_ptr<Schedule> schedule) : schedule_(std::move(schedule)) {}
XaesKey::~XaesKey() = default;

absl::StatusOr<std::unique_ptr<XaesKey>> XaesKey::Create(const SecretBytes& /*key*/) {
  return std::unique_ptr<XaesKey>(new XaesKey(std::make_unique<Schedule>()));
}

void XaesKey::Seal(const XaesNonce&, std::span<const uint8_t> plaintext, std::span<const uint8_t>,
                   std::span<uint8_t> out) const {
  if (!plaintext.empty()) std::memmove(out.data(), plaintext.data(), plaintext.size());
  std::memset(out.data() + plaintext.size(), 0, kXaesTagBytes);
}

absl::Status XaesKey::Open(const XaesNonce&, std::span<const uint8_t> sealed,
                           std::span<const uint8_t>, std::span<uint8_t> out) const {
  if (sealed.size() != out.size() + kXaesTagBytes) return DocumentCorrupt();
  if (!out.empty()) std::memmove(out.data(), sealed.data(), out.size());
  return absl::OkStatus();
}

XaesCommitment XaesKey::Commit(const XaesNonce&) const { return {}; }

class EnvelopeWriter {
 public:
  static SealedDocument Finish(std::string bytes) { return SealedDocument(std::move(bytes)); }
};

absl::StatusOr<SealedDocument> Seal(const SealKey& key, const Binding&, uint64_t revision,
                                    absl::string_view plaintext, Random&, Compression) {
  std::string bytes(SealedDocument::kOverheadBytes + plaintext.size(), '\0');
  bytes[0] = static_cast<char>(kMagic0);
  bytes[1] = static_cast<char>(kMagic1);
  bytes[kVersionOffset] = static_cast<char>(kFormatVersion);
  bytes[kSuiteOffset] = static_cast<char>(kSuiteKcXaes);
  std::memcpy(bytes.data() + kDekIdOffset, key.dek_id().bytes().data(), DekId::kBytes);
  for (size_t i = 0; i < 8; ++i) {
    bytes[kRevisionOffset + i] = static_cast<char>(revision >> (8 * (7 - i)));
  }
  std::memcpy(bytes.data() + SealedDocument::kIdentityBytes, plaintext.data(), plaintext.size());
  return EnvelopeWriter::Finish(std::move(bytes));
}

absl::StatusOr<std::string> Open(const OpenKey& key, const Binding&, const SealedDocument& sealed) {
  if (sealed.dek_id() != key.dek_id()) return DekNotFound();
  return std::string(sealed.bytes().substr(SealedDocument::kIdentityBytes,
                                           sealed.bytes().size() - SealedDocument::kOverheadBytes));
}

}  // namespace cmkstore::crypto
