#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/http_transport.h"

namespace cmkstore::vault {

// What a token endpoint says by machine-readable words of a login that it refuses (RFC 6749 5.2 and
// Entra's `error_codes`). Of a server that may be anyone's: nothing else of it is kept.
struct LoginRefusal {
  std::string error;           // "invalid_client"; empty: none, or no code of OAuth's form
  std::vector<int64_t> codes;  // 7000215; at most four
};
LoginRefusal ParseLoginRefusal(const HttpResponse& response);

// VAULT_LOGIN_FAILED that says "`who` answered STATUS".
absl::Status LoginRefused(absl::string_view who, const HttpResponse& response);

// The same status with the refusal of `response`. It is for our log: no caller is told.
absl::Status WithRefusal(absl::Status status, const HttpResponse& response);
// That, as "invalid_client 7000222", or "".
std::string RefusalOf(const absl::Status& status);

}  // namespace cmkstore::vault
