#include "vault/dev_vault/key_operations.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

std::optional<std::string> BytesOf(const json& request, const char* name) {
  const auto found = request.find(name);
  std::string bytes;
  if (found == request.end() || !found->is_string() ||
      !absl::WebSafeBase64Unescape(found->get<std::string>(), &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

Answer Result(const std::string& kid, const json& value) {
  Answer answer;
  answer.body = json{{"kid", kid}, {"value", value}}.dump();
  return answer;
}

Answer Verified(const KeyVersion& version, const std::string& algorithm, const json& request,
                const std::string& signature) {
  const std::optional<std::string> digest = BytesOf(request, "digest");
  if (!digest.has_value())
    return BadParameter("Property 'digest' is required and must be base64url");
  const std::optional<bool> good = version.material->Verify(algorithm, *digest, signature);
  if (!good.has_value()) return BadParameter("Key and signing algorithm are incompatible.");
  Answer answer;
  answer.body = json{{"value", *good}}.dump();
  return answer;
}

}  // namespace

const std::vector<KeyOperation>& KeyOperations() {
  static const std::vector<KeyOperation> operations = {
      {"wrapkey", "wrapKey", false, true}, {"unwrapkey", "unwrapKey", true, false},
      {"encrypt", "encrypt", false, true}, {"decrypt", "decrypt", true, false},
      {"sign", "sign", true, true},        {"verify", "verify", false, false}};
  return operations;
}

const KeyOperation* FindKeyOperation(absl::string_view path) {
  for (const KeyOperation& one : KeyOperations()) {
    if (one.path == path) return &one;
  }
  return nullptr;
}

std::vector<std::string> DefaultOperations(const KeyMaterial& material) {
  if (!material.is_rsa()) return {"wrapKey", "unwrapKey"};
  return {"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"};
}

Answer Operate(const KeyOperation& operation, const KeyVersion& version, const std::string& kid,
               const std::string& body, int64_t now) {
  if (operation.needs_enabled && !version.enabled) {
    return Forbidden(
        absl::StrCat("Operation ", operation.name, " is not allowed on a disabled key."),
        "KeyDisabled");
  }
  const bool early = version.nbf.has_value() && now < *version.nbf;
  const bool late = version.exp.has_value() && now >= *version.exp;
  if (operation.needs_valid_dates && (early || late)) {
    return Forbidden(absl::StrCat("Operation ", operation.name,
                                  " is not allowed on a not yet valid or an expired key."),
                     "KeyNotYetValidOrExpired");
  }
  const bool allowed =
      std::any_of(version.operations.begin(), version.operations.end(),
                  [&](const auto& one) { return absl::EqualsIgnoreCase(one, operation.name); });
  if (!allowed) {
    return Forbidden(absl::StrCat("Operation ", operation.name,
                                  " is not permitted on this key; its key_ops are: ",
                                  absl::StrJoin(version.operations, ", "), "."),
                     "KeyOperationForbidden");
  }
  const json request = json::parse(body, nullptr, false);
  if (!request.is_object()) return BadParameter("The request body must be a JSON object.");
  const std::string algorithm = request.value("alg", "");
  const std::optional<std::string> value = BytesOf(request, "value");
  if (!value.has_value() || value->empty()) {
    return BadParameter("Property 'value' is required and must be base64url.");
  }
  std::optional<std::string> result;
  if (operation.name == "verify") return Verified(version, algorithm, request, *value);
  if (operation.name == "sign") {
    result = version.material->Sign(algorithm, *value);
  } else if (operation.name == "wrapKey" || operation.name == "encrypt") {
    result = version.material->Encrypt(algorithm, *value);
  } else {
    result = version.material->Decrypt(algorithm, *value);
  }
  if (!result.has_value()) {
    return BadParameter(
        "The parameter is incorrect: the algorithm does not fit the key, or the "
        "value is none that this key version made.");
  }
  return Result(kid, absl::WebSafeBase64Escape(*result));
}

}  // namespace cmkstore::dev_vault
