#include "vault/azure_answers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/base64url.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "vault/vault_uri.h"

namespace cmkstore::vault {
namespace {

using nlohmann::json;

constexpr absl::Duration kRetryAfter = absl::Seconds(5);

json ParseJson(const HttpResponse& response) {
  if (!absl::StrContains(absl::AsciiStrToLower(response.Header("Content-Type")), "json"))
    return nullptr;
  return json::parse(response.body, nullptr, false);
}

std::string TextOf(const json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// error.innererror.code, matched without case and however deep: the most inner one counts.
std::string InnerCode(const json& answer) {
  if (!answer.is_object() || !answer.contains("error")) return "";
  const json* error = &answer["error"];
  std::string code = TextOf(*error, "code");
  for (int depth = 0; depth < 5 && error->is_object(); ++depth) {
    const json* inner = nullptr;
    for (const auto& [key, value] : error->items()) {
      if (absl::EqualsIgnoreCase(key, "innererror")) inner = &value;
    }
    if (inner == nullptr) break;
    if (const std::string inner_code = TextOf(*inner, "code"); !inner_code.empty()) {
      code = inner_code;
    }
    error = inner;
  }
  // Only what looks like a code of Azure's is repeated to anyone.
  const bool plain = code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
                       return absl::ascii_isalpha(static_cast<unsigned char>(c));
                     });
  return plain ? code : "";
}

absl::Status Forbidden(VaultOperation operation, const std::string& code) {
  if (code == "KeyNotYetValidOrExpired" && operation == VaultOperation::kWrap) {
    return CustomerKeyUnfit(
        {{"validity", "the key is outside its nbf/exp dates; extend them in the vault"}});
  }
  if (code == "KeyDisabled") return CustomerKeyRevoked("the key is disabled (KeyDisabled)");
  if (code == "ForbiddenByFirewall" || code == "ForbiddenByConnection") {
    return CustomerKeyRevoked(
        absl::StrCat("the vault's network rules refuse this service (", code, ")"));
  }
  return CustomerKeyRevoked(absl::StrCat("the vault forbids the operation (",
                                         code.empty() ? "cause not said" : code, ")"));
}

absl::Duration RetryAfter(const HttpResponse& response) {
  int seconds = 0;
  if (absl::SimpleAtoi(response.Header("Retry-After"), &seconds) && seconds > 0 && seconds <= 300) {
    return absl::Seconds(seconds);
  }
  return kRetryAfter;
}

// https://HOST/keys/NAME/VERSION of the asked host and name.
absl::Status CheckKeyId(absl::string_view kid, const KeyRef& asked) {
  const std::string prefix = absl::StrCat(asked.vault_uri, "/keys/", asked.key_name, "/");
  if (absl::StartsWithIgnoreCase(kid, prefix) && kid.size() > prefix.size() && kid.size() <= 512) {
    const absl::string_view version = kid.substr(prefix.size());
    if (std::all_of(version.begin(), version.end(),
                    [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); })) {
      return absl::OkStatus();
    }
  }
  return VaultUnreachable("the answer names another key than was asked", kRetryAfter);
}

uint32_t BitsOf(absl::string_view big_endian) {
  const size_t first = big_endian.find_first_not_of('\0');
  if (first == absl::string_view::npos) return 0;
  uint32_t bits = static_cast<uint32_t>(big_endian.size() - first) * 8;
  for (auto top = static_cast<uint8_t>(big_endian[first]); (top & 0x80) == 0;
       top = static_cast<uint8_t>(top << 1)) {
    --bits;
  }
  return bits;
}

void ReadAttributes(const json& attributes, KeyDescription& key) {
  if (!attributes.is_object()) return;
  if (const auto found = attributes.find("enabled");
      found != attributes.end() && found->is_boolean()) {
    key.enabled = found->get<bool>();
  }
  const auto number = [&attributes](const char* name) -> std::optional<int64_t> {
    const auto found = attributes.find(name);
    if (found == attributes.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<int64_t>();
  };
  if (const auto nbf = number("nbf")) key.not_before = absl::FromUnixSeconds(*nbf);
  if (const auto exp = number("exp")) key.expires = absl::FromUnixSeconds(*exp);
  key.recoverable_days = static_cast<int>(number("recoverableDays").value_or(0));
  key.recovery_level = TextOf(attributes, "recoveryLevel");
  const bool recoverable = absl::StartsWith(key.recovery_level, "Recoverable") ||
                           absl::StartsWith(key.recovery_level, "CustomizedRecoverable");
  key.soft_delete = recoverable;
  key.purge_protection = recoverable && !absl::StrContains(key.recovery_level, "Purgeable");
}

}  // namespace

absl::Status MeaningOf(VaultOperation operation, const HttpResponse& response,
                       std::optional<bool> key_exists) {
  switch (response.status) {
    case 400:
      return operation == VaultOperation::kUnwrap
                 ? DekRecordCorrupt("the vault says that it is not a ciphertext of this key")
                 : CustomerKeyUnfit({{"operation",
                                      "the vault refuses the request for this key "
                                      "(its type does not fit)"}});
    case 401: return VaultLoginFailed("the vault refuses our token");
    case 403: return Forbidden(operation, InnerCode(ParseJson(response)));
    case 404:
    case 410:
      if (operation == VaultOperation::kUnwrap && key_exists == true) {
        return DekRecordCorrupt("the key version that wrapped it is gone from the vault");
      }
      return CustomerKeyRevoked("the key does not exist in the vault, or is deleted");
    case 429: return VaultThrottled(RetryAfter(response));
    default:
      return VaultUnreachable(absl::StrCat(response.status >= 500 ? "http_5xx" : "unknown",
                                           ": the vault answered ", response.status),
                              RetryAfter(response));
  }
}

absl::StatusOr<KeyDescription> ParseKeyBundle(const HttpResponse& response, const KeyRef& asked) {
  const json answer = ParseJson(response);
  if (!answer.is_object() || !answer.contains("key")) {
    return VaultUnreachable("unknown: the answer is no key", kRetryAfter);
  }
  const json& key = answer["key"];
  KeyDescription description;
  description.version_id = TextOf(key, "kid");
  CMK_RETURN_IF_ERROR(CheckKeyId(description.version_id, asked));
  description.type = TextOf(key, "kty");
  if (key.contains("key_ops") && key["key_ops"].is_array()) {
    for (const json& operation : key["key_ops"]) {
      if (operation.is_string()) {
        description.operations.push_back(absl::AsciiStrToLower(operation.get<std::string>()));
      }
    }
  }
  description.size_bits = BitsOf(DecodeBase64Url(TextOf(key, "n")).value_or(""));
  if (absl::StartsWith(description.type, "oct")) description.size_bits = 256;
  if (answer.contains("attributes")) ReadAttributes(answer["attributes"], description);
  return description;
}

absl::StatusOr<KeyOperationResult> ParseKeyOperation(const HttpResponse& response,
                                                     const KeyRef& asked) {
  const json answer = ParseJson(response);
  KeyOperationResult result;
  result.version_id = TextOf(answer, "kid");
  CMK_RETURN_IF_ERROR(CheckKeyId(result.version_id, asked));
  std::optional<std::string> value = DecodeBase64Url(TextOf(answer, "value"));
  if (!value.has_value() || value->empty()) {
    return VaultUnreachable("unknown: the answer has no value", kRetryAfter);
  }
  result.value = std::move(*value);
  return result;
}

std::string ChallengeResource(absl::string_view challenge) {
  for (absl::string_view part : absl::StrSplit(challenge, absl::ByAnyChar(" ,"))) {
    for (absl::string_view name : {"resource=", "scope="}) {
      if (!absl::StartsWithIgnoreCase(part, name)) continue;
      absl::string_view value = part.substr(name.size());
      absl::ConsumePrefix(&value, "\"");
      absl::ConsumeSuffix(&value, "\"");
      absl::ConsumeSuffix(&value, "/.default");
      return std::string(value);
    }
  }
  return "";
}

bool ResourceCoversHost(absl::string_view resource, absl::string_view host) {
  if (!absl::ConsumePrefix(&resource, "https://") || resource.empty()) return false;
  const absl::string_view name = host.substr(0, host.find(':'));
  return absl::EndsWithIgnoreCase(name, absl::StrCat(".", resource));
}

}  // namespace cmkstore::vault
