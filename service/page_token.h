#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "service/caller.h"

namespace cmkstore::service {

// Page tokens: a cursor that only its caller can use, and only to go on with the same question.
//
// base64url(HMAC-SHA256(store's token key, subject ‖ tenant ‖ question ‖ cursor)[:16] ‖ cursor).
// Immutable, thread-safe.
class PageTokens {
 public:
  explicit PageTokens(std::string key) : key_(std::move(key)) {}

  // `question`: everything of the request but page size and token.
  std::string Encode(const Caller& caller, absl::string_view question,
                     absl::string_view cursor) const;
  // "" for an empty token. Errors: FIELD_INVALID naming page_token.
  absl::StatusOr<std::string> Decode(const Caller& caller, absl::string_view question,
                                     absl::string_view token) const;

 private:
  std::string Mac(const Caller& caller, absl::string_view question, absl::string_view cursor) const;
  const std::string key_;
};

}  // namespace cmkstore::service
