#include "crypto/blind_name.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "base/errors.h"
#include "crypto/digest.h"

namespace cmkstore::crypto {
namespace {

// Purpose 00 ‖ for each part: u32 big-endian length ‖ bytes.
BlindName Blind(HmacSha256Session& hmac, absl::string_view purpose,
                std::initializer_list<absl::string_view> parts) {
  std::string message(purpose.data(), purpose.size());
  message.push_back('\0');
  for (absl::string_view part : parts) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      message.push_back(static_cast<char>(part.size() >> shift));
    }
    message.append(part.data(), part.size());
  }
  const auto mac = hmac.Mac(message);
  return *BlindName::FromBytes({reinterpret_cast<const char*>(mac.data()), BlindName::kBytes});
}

}  // namespace

absl::StatusOr<NameKey> NameKey::FromSecret(SecretBytes key) {
  if (key.size() != 32) return DocumentCorrupt();
  return NameKey(std::move(key));
}

BlindName NameKey::Collection(ProjectUid project, absl::string_view collection) const {
  HmacSha256Session hmac(key_->Reveal());
  return Blind(hmac, "collection", {project.bytes(), collection});
}

BlindName NameKey::Document(ProjectUid project, absl::string_view collection,
                            absl::string_view document) const {
  HmacSha256Session hmac(key_->Reveal());
  return Blind(hmac, "document", {project.bytes(), collection, document});
}

NameKey::DocumentNames NameKey::Names(ProjectUid project, absl::string_view collection,
                                      absl::string_view document) const {
  HmacSha256Session hmac(key_->Reveal());
  return {Blind(hmac, "collection", {project.bytes(), collection}),
          Blind(hmac, "document", {project.bytes(), collection, document})};
}

BlindName NameKey::Request(absl::string_view request_id) const {
  HmacSha256Session hmac(key_->Reveal());
  return Blind(hmac, "request", {request_id});
}

}  // namespace cmkstore::crypto
