#pragma once

#include <memory>
#include <string>

#include "crypto/secret_bytes.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// The KeyRef::vault_uri of platform-managed hubs.
inline constexpr char kPlatformVaultUri[] = "platform:";

// The key of this service itself, for hubs without a customer-managed key: AES-256 key wrap under a
// key file.
//
// Immutable, thread-safe. Errors: DEK_RECORD_CORRUPT.
class PlatformKeyVault final : public KeyVault {
 public:
  // Reads 32 bytes from `path`, or makes the file (mode 0600, synced) when there is none.
  // Errors: STATE_INVALID when the file is no key.
  static absl::StatusOr<std::unique_ptr<PlatformKeyVault>> Open(const std::string& path);

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  explicit PlatformKeyVault(crypto::SecretBytes kek) : kek_(std::move(kek)) {}
  const crypto::SecretBytes kek_;
};

// Sends each key to the vault that its URI names: `platform:` to ours, https to the tenant's.
class RoutingKeyVault final : public KeyVault {
 public:
  RoutingKeyVault(KeyVault& platform, KeyVault& tenant) : platform_(platform), tenant_(tenant) {}

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override {
    return For(key).Describe(key, deadline);
  }
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override {
    return For(key).Wrap(key, dek, deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override {
    return For(key).Unwrap(key, wrapped, deadline);
  }

 private:
  KeyVault& For(const KeyRef& key) {
    return key.vault_uri == kPlatformVaultUri ? platform_ : tenant_;
  }
  KeyVault& platform_;
  KeyVault& tenant_;
};

}  // namespace cmkstore::vault
