#include "crypto/dek.h"

#include <span>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/cmac_kdf.h"

namespace cmkstore::crypto {
namespace {

constexpr absl::string_view kDocumentLabel = "document";
constexpr absl::string_view kHubSecretsLabel = "hub-secrets";
constexpr absl::string_view kCheckLabel = "dek-check";

absl::StatusOr<std::shared_ptr<const XaesKey>> Derived(const SecretBytes& dek,
                                                       absl::string_view label) {
  CMK_ASSIGN_OR_RETURN(std::unique_ptr<XaesKey> key, XaesKey::Create(DeriveKey(dek, label)));
  return std::shared_ptr<const XaesKey>(std::move(key));
}

void AppendInteger(uint64_t value, int bytes, std::string& out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

void AppendField(absl::string_view field, std::string& out) {
  AppendInteger(field.size(), 4, out);
  out.append(field.data(), field.size());
}

// "cmkstore/dek/v1" 00 ‖ length-prefixed tenant, hub, dek_id, kek id, algorithm ‖ u32 generation ‖
// u64 created.
std::string FactsMessage(const DekFacts& facts) {
  std::string message("cmkstore/dek/v1\0", 16);
  AppendField(facts.tenant, message);
  AppendField(facts.hub.bytes(), message);
  AppendField(facts.dek_id.bytes(), message);
  AppendField(facts.kek_id, message);
  AppendField(facts.algorithm, message);
  AppendInteger(facts.generation, 4, message);
  AppendInteger(static_cast<uint64_t>(facts.created_unix_micros), 8, message);
  return message;
}

}  // namespace

absl::StatusOr<Dek> Dek::FromSecret(DekId dek_id, SecretBytes key) {
  if (key.size() != kDekBytes) return DekRecordCorrupt("it does not have 32 bytes");
  return Dek(dek_id, std::move(key));
}

absl::StatusOr<SealKey> Dek::MakeSealKey() const {
  SealKey key;
  key.dek_id_ = dek_id_;
  CMK_ASSIGN_OR_RETURN(key.document_key_, Derived(secret_, kDocumentLabel));
  CMK_ASSIGN_OR_RETURN(key.hub_secrets_key_, Derived(secret_, kHubSecretsLabel));
  return key;
}

absl::StatusOr<OpenKey> Dek::MakeOpenKey() const {
  OpenKey key;
  key.dek_id_ = dek_id_;
  CMK_ASSIGN_OR_RETURN(key.document_key_, Derived(secret_, kDocumentLabel));
  CMK_ASSIGN_OR_RETURN(key.hub_secrets_key_, Derived(secret_, kHubSecretsLabel));
  return key;
}

std::string Dek::Check(const DekFacts& facts) const {
  return AesCmac(DeriveKey(secret_, kCheckLabel).Reveal(), FactsMessage(facts));
}

absl::Status Dek::VerifyCheck(const DekFacts& facts, absl::string_view check) const {
  const std::string expected = Check(facts);
  const auto bytes = [](absl::string_view text) {
    return std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  if (ConstantTimeEquals(bytes(expected), bytes(check))) return absl::OkStatus();
  return DekRecordCorrupt("it is not the key that its record describes");
}

}  // namespace cmkstore::crypto
