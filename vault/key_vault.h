#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::vault {

// Which key, in which vault, reached as whom. Free of any one vendor's terms.
struct KeyRef {
  std::string vault_uri;  // "https://contoso.vault.azure.net"
  std::string key_name;
  std::string version;   // opaque; empty = the latest
  std::string identity;  // name of a configured identity of this server; empty = the default one
  // Where that identity is to log in: the directory that the vault belongs to; empty = its own.
  std::string directory = "";

  friend bool operator==(const KeyRef&, const KeyRef&) = default;
};

struct KeyDescription {
  std::string version_id;  // opaque full id of the version that answered, e.g. the `kid` URL
  std::string type;        // "RSA", "RSA-HSM", "oct-HSM"
  uint32_t size_bits = 0;
  std::vector<std::string> operations;  // lower case: "wrapkey", "unwrapkey"
  bool enabled = true;
  absl::Time not_before = absl::InfinitePast();
  absl::Time expires = absl::InfiniteFuture();
  std::string recovery_level;  // as the vault says it; empty if it says none
  bool soft_delete = false;    // derived from recovery_level
  bool purge_protection = false;
  int recoverable_days = 0;  // 0 = not said
};

struct WrappedKey {
  std::string version_id;  // always with version: unwrap with this one
  std::string algorithm;   // "RSA-OAEP-256", "A256KW"
  std::string ciphertext;
};

// With what a key of this type wraps DEKs, by its name in RFC 7518 and Azure Key Vault.
inline absl::string_view AlgorithmFor(absl::string_view key_type) {
  return absl::StartsWith(key_type, "oct") ? "A256KW" : "RSA-OAEP-256";
}

// A tenant's key vault. The tenant's kill switch rests on it: wrap and unwrap always go to the
// vault, never to a local copy of a public key.
//
// Blocking, each call bounded by `deadline` (wall clock). Thread-safe. No key bytes, token or
// response body is ever logged.
//
// Errors by reason: CUSTOMER_KEY_REVOKED (the vault denies), CUSTOMER_KEY_UNFIT (this key cannot
// wrap now), VAULT_UNREACHABLE, VAULT_THROTTLED, VAULT_LOGIN_FAILED (our credential, not the
// tenant's), DEK_RECORD_CORRUPT (the vault says that this ciphertext is not its own).
// vault/vault_errors.h sorts them.
class KeyVault {
 public:
  virtual ~KeyVault() = default;

  virtual absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) = 0;
  virtual absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                          absl::Time deadline) = 0;
  // `key.version` is not read: `wrapped.version_id` says which version made the ciphertext.
  virtual absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                                     absl::Time deadline) = 0;
};

}  // namespace cmkstore::vault
