#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"
#include "crypto/xaes.h"

namespace cmkstore::crypto {

inline constexpr size_t kDekBytes = 32;

// Seals new rows: made from the newest DEK generation only. Immutable, thread-safe.
class SealKey {
 public:
  DekId dek_id() const { return dek_id_; }
  const XaesKey& document_key() const { return *document_key_; }
  const XaesKey& hub_secrets_key() const { return *hub_secrets_key_; }

 private:
  friend class Dek;
  DekId dek_id_;
  std::shared_ptr<const XaesKey> document_key_;
  std::shared_ptr<const XaesKey> hub_secrets_key_;
};

// Opens rows of one DEK generation, old or new. Unrelated to SealKey: an old key never seals.
// Immutable, thread-safe.
class OpenKey {
 public:
  DekId dek_id() const { return dek_id_; }
  const XaesKey& document_key() const { return *document_key_; }
  const XaesKey& hub_secrets_key() const { return *hub_secrets_key_; }

 private:
  friend class Dek;
  DekId dek_id_;
  std::shared_ptr<const XaesKey> document_key_;
  std::shared_ptr<const XaesKey> hub_secrets_key_;
};

// What a DEK record says of itself, bound into its check value: vault wrap has no associated data,
// so this is what stops a wrapped DEK from being moved to another hub.
struct DekFacts {
  std::string tenant;
  HubUid hub;
  DekId dek_id;
  uint32_t generation = 0;
  std::string kek_id;     // opaque key version id of the vault, with version
  std::string algorithm;  // wrap algorithm
  int64_t created_unix_micros = 0;
};

// A plaintext data encryption key of a hub, for the moment between vault and derived keys.
// Move-only.
class Dek {
 public:
  // Errors: DEK_RECORD_CORRUPT when `key` has not 32 bytes.
  static absl::StatusOr<Dek> FromSecret(DekId dek_id, SecretBytes key);

  DekId dek_id() const { return dek_id_; }
  const SecretBytes& secret() const { return secret_; }
  absl::StatusOr<SealKey> MakeSealKey() const;
  absl::StatusOr<OpenKey> MakeOpenKey() const;

  // 16 bytes: CMAC over the facts, under a key derived from the DEK (SP 800-108, label
  // "dek-check").
  std::string Check(const DekFacts& facts) const;
  // Constant-time. Errors: DEK_RECORD_CORRUPT.
  absl::Status VerifyCheck(const DekFacts& facts, absl::string_view check) const;

 private:
  Dek(DekId dek_id, SecretBytes secret) : dek_id_(dek_id), secret_(std::move(secret)) {}
  DekId dek_id_;
  SecretBytes secret_;
};

}  // namespace cmkstore::crypto
