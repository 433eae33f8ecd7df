#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::crypto {

// Turns collection and document ids into storage-key parts that tell nothing without the hub's name
// key: HMAC-SHA256(name key, purpose ‖ length-prefixed path)[:16].
//
// Immutable, thread-safe.
class NameKey {
 public:
  // Errors: DOCUMENT_CORRUPT when `key` has not 32 bytes.
  static absl::StatusOr<NameKey> FromSecret(SecretBytes key);

  struct DocumentNames {
    BlindName collection;
    BlindName document;
  };

  BlindName Collection(ProjectUid project, absl::string_view collection) const;
  BlindName Document(ProjectUid project, absl::string_view collection,
                     absl::string_view document) const;
  // Both at once, for less than two.
  DocumentNames Names(ProjectUid project, absl::string_view collection,
                      absl::string_view document) const;
  BlindName Request(absl::string_view request_id) const;

 private:
  explicit NameKey(SecretBytes key) : key_(std::make_shared<SecretBytes>(std::move(key))) {}
  std::shared_ptr<const SecretBytes> key_;
};

}  // namespace cmkstore::crypto
