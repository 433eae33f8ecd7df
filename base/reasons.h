#pragma once

#include <algorithm>
#include <array>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Every reason that a client can be given, and the one code that it comes with.
//
// base/errors.cc makes statuses of these alone: another word does not compile there. What reaches
// service/grpc_status.cc under a word that is not here is answered as INVARIANT. Words are part of
// the API: none is ever renamed, and none gets another code.

namespace cmkstore {

struct Reason {
  absl::string_view word;
  absl::StatusCode code;
};

inline constexpr Reason kReasons[] = {
    // Who calls, and from where.
    {"TOKEN_INVALID", absl::StatusCode::kUnauthenticated},
    {"TOKEN_EXPIRED", absl::StatusCode::kUnauthenticated},
    {"ACCESS_DENIED", absl::StatusCode::kPermissionDenied},
    {"NETWORK_DENIED", absl::StatusCode::kPermissionDenied},
    // What is asked for.
    {"FIELD_INVALID", absl::StatusCode::kInvalidArgument},
    {"HUB_NOT_FOUND", absl::StatusCode::kNotFound},
    {"PROJECT_NOT_FOUND", absl::StatusCode::kNotFound},
    {"DOCUMENT_NOT_FOUND", absl::StatusCode::kNotFound},
    {"OPERATION_NOT_FOUND", absl::StatusCode::kNotFound},
    {"HUB_ALREADY_EXISTS", absl::StatusCode::kAlreadyExists},
    {"PROJECT_ALREADY_EXISTS", absl::StatusCode::kAlreadyExists},
    {"DOCUMENT_ALREADY_EXISTS", absl::StatusCode::kAlreadyExists},
    {"ETAG_MISMATCH", absl::StatusCode::kAborted},
    {"STATE_INVALID", absl::StatusCode::kFailedPrecondition},
    {"QUOTA_EXCEEDED", absl::StatusCode::kResourceExhausted},
    {"DEADLINE_EXCEEDED", absl::StatusCode::kDeadlineExceeded},
    {"CANCELLED", absl::StatusCode::kCancelled},  // of an operation, or a stream whose caller left
    {"SERVER_STOPPING", absl::StatusCode::kUnavailable},
    // The customer's key.
    {"CUSTOMER_KEY_REVOKED", absl::StatusCode::kFailedPrecondition},
    {"HUB_LOCKED", absl::StatusCode::kFailedPrecondition},
    {"CUSTOMER_KEY_UNFIT", absl::StatusCode::kFailedPrecondition},
    {"VAULT_CHANGE_REFUSED", absl::StatusCode::kFailedPrecondition},
    {"KEY_KIND_IMMUTABLE", absl::StatusCode::kFailedPrecondition},
    // The customer's vault, and our login to it.
    {"VAULT_LOGIN_FAILED", absl::StatusCode::kUnavailable},
    {"VAULT_UNREACHABLE", absl::StatusCode::kUnavailable},
    {"VAULT_THROTTLED", absl::StatusCode::kUnavailable},
    // Our store.
    {"DOCUMENT_CORRUPT", absl::StatusCode::kDataLoss},
    {"DEK_NOT_FOUND", absl::StatusCode::kDataLoss},
    {"DEK_RECORD_CORRUPT", absl::StatusCode::kDataLoss},
    {"STORE_CORRUPT", absl::StatusCode::kDataLoss},
    {"INDEX_CORRUPT", absl::StatusCode::kDataLoss},
    {"FORMAT_TOO_NEW", absl::StatusCode::kFailedPrecondition},
    {"STORE_BUSY", absl::StatusCode::kUnavailable},
    {"STORE_FULL", absl::StatusCode::kUnavailable},
    // Backups, of the server's operators.
    {"BACKUP_NOT_FOUND", absl::StatusCode::kNotFound},
    {"BACKUP_STORAGE_FAILED", absl::StatusCode::kUnavailable},
    {"BACKUP_CORRUPT", absl::StatusCode::kDataLoss},
    {"INVARIANT", absl::StatusCode::kInternal},
};

inline constexpr auto kReasonWords = [] {
  std::array<absl::string_view, std::size(kReasons)> words;
  std::transform(std::begin(kReasons), std::end(kReasons), words.begin(),
                 [](const Reason& one) { return one.word; });
  return words;
}();

// Null: no client may be given this word.
constexpr const Reason* FindReason(absl::string_view word) {
  const auto* found = std::find_if(std::begin(kReasons), std::end(kReasons),
                                   [word](const Reason& one) { return one.word == word; });
  return found == std::end(kReasons) ? nullptr : found;
}

}  // namespace cmkstore
