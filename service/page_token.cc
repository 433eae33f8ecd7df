#include "service/page_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "crypto/digest.h"
#include "crypto/secret_bytes.h"

namespace cmkstore::service {
namespace {

constexpr size_t kMacBytes = 16;

std::span<const uint8_t> Bytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

std::string PageTokens::Mac(const Caller& caller, absl::string_view question,
                            absl::string_view cursor) const {
  // Each part is hashed first, so that no byte can move from one to the next.
  const std::string message =
      absl::StrCat(crypto::Sha256(caller.subject), crypto::Sha256(caller.tenant),
                   crypto::Sha256(question), crypto::Sha256(cursor));
  return crypto::HmacSha256(Bytes(key_), message).substr(0, kMacBytes);
}

std::string PageTokens::Encode(const Caller& caller, absl::string_view question,
                               absl::string_view cursor) const {
  return absl::WebSafeBase64Escape(absl::StrCat(Mac(caller, question, cursor), cursor));
}

absl::StatusOr<std::string> PageTokens::Decode(const Caller& caller, absl::string_view question,
                                               absl::string_view token) const {
  if (token.empty()) return "";
  std::string raw;
  if (absl::WebSafeBase64Unescape(token, &raw) && raw.size() > kMacBytes) {
    const std::string cursor = raw.substr(kMacBytes);
    if (crypto::ConstantTimeEquals(Bytes(Mac(caller, question, cursor)),
                                   Bytes(raw).first(kMacBytes))) {
      return cursor;
    }
  }
  return FieldInvalid("page_token",
                      "must come from the answer to the same question by this caller");
}

}  // namespace cmkstore::service
