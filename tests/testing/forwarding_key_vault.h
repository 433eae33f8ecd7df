#pragma once

#include "vault/key_vault.h"

namespace cmkstore::testing {

// Another vault, which must outlive this, for tests to derive from that want one of its answers to
// be another.
class ForwardingKeyVault : public vault::KeyVault {
 public:
  explicit ForwardingKeyVault(vault::KeyVault& vault) : vault_(vault) {}

  absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key,
                                                 absl::Time deadline) override {
    return vault_.Describe(key, deadline);
  }
  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                         absl::Time deadline) override {
    return vault_.Wrap(key, dek, deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time deadline) override {
    return vault_.Unwrap(key, wrapped, deadline);
  }

 private:
  vault::KeyVault& vault_;
};

}  // namespace cmkstore::testing
