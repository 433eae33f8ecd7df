#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore {

// Longest id a caller may choose, in bytes.
inline constexpr size_t kMaxIdBytes = 128;

// Whether `text` is 1-128 bytes of [A-Za-z0-9._~-] beginning with a letter or digit.
bool IsValidId(absl::string_view text);

// Whether `text` is 32 hex digits with dashes between, 8-4-4-4-12 (RFC 9562 4).
bool IsGuid(absl::string_view text);

// FIELD_INVALID naming `field` and the rule when `text` is not a valid id.
absl::Status CheckId(absl::string_view field, absl::string_view text);

// A name chosen by a caller, checked once at the door. `Tag` keeps the kinds apart: a HubId is no
// ProjectId, so arguments cannot be swapped. `Tag::kField` names the field in errors.
//
// Value type. Collection and document ids are customer content: never log them.
template <typename Tag>
class NamedId {
 public:
  // Errors: FIELD_INVALID naming the field and the rule.
  static absl::StatusOr<NamedId> Parse(absl::string_view text) {
    if (absl::Status status = CheckId(Tag::kField, text); !status.ok()) return status;
    return NamedId(std::string(text));
  }

  const std::string& value() const { return value_; }
  friend auto operator<=>(const NamedId&, const NamedId&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const NamedId& id) {
    return H::combine(std::move(hash), id.value_);
  }

 private:
  explicit NamedId(std::string value) : value_(std::move(value)) {}
  std::string value_;
};

// The Entra tenant: an id whose usual form is a GUID.
using TenantId = NamedId<struct TenantTag>;
using HubId = NamedId<struct HubTag>;
using ProjectId = NamedId<struct ProjectTag>;
using CollectionId = NamedId<struct CollectionTag>;
using DocumentId = NamedId<struct DocumentTag>;

struct TenantTag {
  static constexpr absl::string_view kField = "tenant";
};
struct HubTag {
  static constexpr absl::string_view kField = "hub";
};
struct ProjectTag {
  static constexpr absl::string_view kField = "project";
};
struct CollectionTag {
  static constexpr absl::string_view kField = "collection";
};
struct DocumentTag {
  static constexpr absl::string_view kField = "document";
};

// Sixteen bytes drawn by us, never by a caller: names a thing for ever, also after its readable id
// has been given to another. `Tag` keeps the kinds apart.
//
// Value type. Safe to log in its hex form.
template <typename Tag>
class Uid {
 public:
  static constexpr size_t kBytes = 16;

  constexpr Uid() = default;
  explicit constexpr Uid(const std::array<uint8_t, kBytes>& bytes) : bytes_(bytes) {}

  // Errors: INVARIANT when `raw` is not exactly 16 bytes.
  static absl::StatusOr<Uid> FromBytes(absl::string_view raw);

  absl::string_view bytes() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  std::string ToHex() const;
  bool IsZero() const { return *this == Uid(); }

  friend auto operator<=>(const Uid&, const Uid&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const Uid& uid) {
    return H::combine(std::move(hash), uid.bytes_);
  }

 private:
  std::array<uint8_t, kBytes> bytes_{};
};

struct HubUidTag;
struct ProjectUidTag;
struct DekIdTag;
struct BlindNameTag;
using HubUid = Uid<HubUidTag>;
using ProjectUid = Uid<ProjectUidTag>;
using DekId = Uid<DekIdTag>;
// What stands in a storage key for a collection, a document or a request id (crypto/blind_name.h).
using BlindName = Uid<BlindNameTag>;

extern template class Uid<HubUidTag>;
extern template class Uid<ProjectUidTag>;
extern template class Uid<DekIdTag>;
extern template class Uid<BlindNameTag>;

}  // namespace cmkstore
