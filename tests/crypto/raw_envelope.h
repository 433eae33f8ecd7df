#pragma once

#include <cstring>
#include <string>
#include <utility>

#include "crypto/binding.h"
#include "crypto/dek.h"
#include "crypto/envelope_layout.h"
#include "crypto/random.h"
#include "crypto/sealed_document.h"

namespace cmkstore::crypto::testing {

inline std::span<const uint8_t> AsBytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string AsText(std::span<const uint8_t> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Gives the bytes start, start + 1 … again and again: nonces of golden files.
class CountingRandom final : public Random {
 public:
  explicit CountingRandom(uint8_t start) : next_(start) {}
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = next_++;
  }

 private:
  uint8_t next_;
};

inline Dek DekOfByte(uint8_t byte, DekId id) {
  return *Dek::FromSecret(id, SecretBytes(std::vector<uint8_t>(kDekBytes, byte)));
}

// An envelope written by hand from docs/envelope_format.md, without the code under test: header,
// nonce, and a body (ciphertext and tag) and commitment that the caller chose.
inline std::string EnvelopeHeader(const DekId& dek_id, uint64_t revision, uint8_t flags) {
  std::string header{'C', 'K', 1, 2, static_cast<char>(flags), 0, 0, 0};
  header.append(dek_id.bytes().data(), dek_id.bytes().size());
  for (int shift = 56; shift >= 0; shift -= 8)
    header.push_back(static_cast<char>(revision >> shift));
  return header;
}

inline std::string SealRawPayload(const SealKey& key, const Binding& binding, uint8_t flags,
                                  absl::string_view payload, const XaesNonce& nonce) {
  const std::string header = EnvelopeHeader(key.dek_id(), 1, flags);
  std::string body(payload.size() + kXaesTagBytes, '\0');
  key.document_key().Seal(nonce, AsBytes(payload), AsBytes(binding.AssociatedData(header)),
                          {reinterpret_cast<uint8_t*>(body.data()), body.size()});
  return header + AsText(nonce) + body + AsText(key.document_key().Commit(nonce));
}

}  // namespace cmkstore::crypto::testing
