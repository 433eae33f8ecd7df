#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmkstore::dev_vault {

// What an HTTP call is answered with.
struct Answer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string caller;  // whom the token named; for the call log, never sent
};

// {"error":{"code","message","innererror":{"code"}}}, as Azure Key Vault says it.
Answer ErrorAnswer(int status, absl::string_view code, absl::string_view message,
                   absl::string_view inner_code = "");
Answer BadParameter(absl::string_view message);
Answer Forbidden(absl::string_view message, absl::string_view inner_code);

}  // namespace cmkstore::dev_vault
