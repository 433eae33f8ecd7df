#include "vault/dev_vault/answer.h"

#include <nlohmann/json.hpp>

namespace cmkstore::dev_vault {

using nlohmann::json;

Answer ErrorAnswer(int status, absl::string_view code, absl::string_view message,
                   absl::string_view inner_code) {
  json error = {{"code", std::string(code)}, {"message", std::string(message)}};
  if (!inner_code.empty()) error["innererror"] = {{"code", std::string(inner_code)}};
  Answer answer;
  answer.status = status;
  answer.body = json{{"error", error}}.dump();
  return answer;
}

Answer BadParameter(absl::string_view message) { return ErrorAnswer(400, "BadParameter", message); }

Answer Forbidden(absl::string_view message, absl::string_view inner_code) {
  return ErrorAnswer(403, "Forbidden", message, inner_code);
}

}  // namespace cmkstore::dev_vault
