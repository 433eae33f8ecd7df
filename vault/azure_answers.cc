#include "vault/azure_answers.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/base64url.h"
#include "base/errors.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

using nlohmann::json;

constexpr absl::Duration kRetryAfter = absl::Seconds(5);
// Azure throttles mostly without Retry-After; who calls again backs off from here.
constexpr absl::Duration kThrottledRetryAfter = absl::Seconds(1);
constexpr size_t kMaxKeyIdBytes = 512;
// Of what a key says of itself: Azure has words of 35 bytes and eight operations.
constexpr size_t kMaxWordBytes = 64;
constexpr size_t kMaxOperationBytes = 32;
constexpr size_t kMaxOperations = 16;
constexpr double kMaxUnixSeconds = 1e15;
constexpr int64_t kMaxRecoverableDays = 10'000;
constexpr absl::Duration kMaxRetryAfter = absl::Minutes(5);

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

// A word of the vault's own as it may be shown to a tenant: short, and nothing but plain ASCII.
std::string ShownText(std::string text, size_t max_bytes) {
  text.resize(std::min(text.size(), max_bytes));
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return !absl::ascii_isprint(static_cast<unsigned char>(c)); }, '?');
  return text;
}

// Bytes as base64url; some servers pad it.
std::optional<std::string> BytesOf(const json& object, const char* name) {
  const std::string text = TextOf(object, name);
  return DecodeBase64Url(absl::string_view(text).substr(0, text.find_last_not_of('=') + 1));
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
  if (code == "Forbidden") return "";  // says no more than the status
  // Only what looks like a code of Azure's is repeated to anyone.
  const bool plain = code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
                       return absl::ascii_isalpha(static_cast<unsigned char>(c));
                     });
  return plain ? code : "";
}

absl::Status Forbidden(VaultOperation operation, const std::string& code) {
  if (code == "KeyNotYetValidOrExpired" && operation == VaultOperation::kWrap) {
    return WithCause(
        CustomerKeyUnfit(
            {{"validity", "the key is outside its nbf/exp dates; extend them in the vault"}}),
        code);
  }
  std::string why = absl::StrCat("the vault forbids the operation (",
                                 code.empty() ? "cause not said" : code, ")");
  if (code == "KeyDisabled") why = "the key is disabled (KeyDisabled)";
  if (code == "KeyOperationForbidden") {
    why = "the key's permitted operations lack this one (KeyOperationForbidden)";
  }
  if (code == "ForbiddenByFirewall" || code == "ForbiddenByConnection") {
    why = absl::StrCat("the vault's network rules refuse this service (", code, ")");
  }
  return WithCause(CustomerKeyRevoked(why), code.empty() ? "Forbidden" : code);
}

// Azure says by an error object that a key is not there, or that a request does not fit it. A 400
// or 404 of another shape is a proxy's, a gateway's or a framework's: it has not looked at the key.
bool IsTheVaultsWord(const json& answer) {
  return answer.is_object() && answer.contains("error") && answer["error"].is_object();
}

absl::Status BadRequest(VaultOperation operation, const json& answer) {
  if (!IsTheVaultsWord(answer)) return UnknownAnswer("the vault answered 400 without saying why");
  if (operation == VaultOperation::kUnwrap) {
    return WithCause(DekRecordCorrupt("the vault says that it is not a ciphertext of this key"),
                     "BadParameter");
  }
  return WithCause(
      CustomerKeyUnfit(
          {{"operation", "the vault refuses the request for this key (its type does not fit)"}}),
      "BadParameter");
}

absl::Status NotThere(VaultOperation operation, const HttpResponse& response, bool key_is_there) {
  if (!IsTheVaultsWord(ParseJson(response))) {
    return UnknownAnswer(
        absl::StrCat("the answer was ", response.status, ", and not in the words of a key vault"));
  }
  if (operation == VaultOperation::kUnwrap && key_is_there) {
    return WithCause(DekRecordCorrupt("the key version that wrapped it is gone from the vault, "
                                      "though the key is there; restore that version"),
                     "KeyVersionNotFound");
  }
  return WithCause(CustomerKeyRevoked("the key does not exist in the vault, or is deleted"),
                   "KeyNotFound");
}

absl::Duration RetryAfter(const HttpResponse& response, absl::Duration otherwise) {
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(response.Header("Retry-After"), &seconds) || seconds <= 0) return otherwise;
  return std::min(absl::Seconds(seconds), kMaxRetryAfter);
}

bool IsWord(absl::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
  });
}

// The record will name the version by what the answer says: it must be of what was asked.
absl::Status CheckKeyId(absl::string_view kid, const KeyRef& asked) {
  KeyRef named;
  if (SplitVersionId(kid, asked.vault_uri, named) &&
      absl::EqualsIgnoreCase(named.key_name, asked.key_name) &&
      (asked.version.empty() || absl::EqualsIgnoreCase(named.version, asked.version))) {
    return absl::OkStatus();
  }
  return UnknownAnswer("the answer names another key than was asked");
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

// False if one of them is of a type that it should not have: an end, or a "disabled", that is
// overlooked would be worse than none.
bool ReadAttributes(const json& attributes, KeyDescription& key) {
  if (attributes.is_null()) return true;
  if (!attributes.is_object()) return false;
  bool good = true;
  const auto value = [&attributes](const char* name) {
    const auto found = attributes.find(name);
    return found == attributes.end() ? json() : *found;
  };
  const auto number = [&](const char* name) -> std::optional<int64_t> {
    const json found = value(name);
    if (found.is_null()) return std::nullopt;
    if (found.is_number_integer()) return found.get<int64_t>();
    good &= found.is_number_float() && std::abs(found.get<double>()) < kMaxUnixSeconds;
    return good ? std::optional(static_cast<int64_t>(found.get<double>())) : std::nullopt;
  };
  const json enabled = value("enabled"), level = value("recoveryLevel");
  if (enabled.is_boolean()) key.enabled = enabled.get<bool>();
  good &= enabled.is_boolean() || enabled.is_null();
  good &= level.is_string() || level.is_null();
  if (const auto nbf = number("nbf")) key.not_before = absl::FromUnixSeconds(*nbf);
  if (const auto exp = number("exp")) key.expires = absl::FromUnixSeconds(*exp);
  key.recoverable_days = static_cast<int>(
      std::clamp(number("recoverableDays").value_or(0), int64_t{0}, kMaxRecoverableDays));
  key.recovery_level = ShownText(TextOf(attributes, "recoveryLevel"), kMaxWordBytes);
  const bool recoverable = absl::StartsWith(key.recovery_level, "Recoverable") ||
                           absl::StartsWith(key.recovery_level, "CustomizedRecoverable");
  key.soft_delete = recoverable;
  key.purge_protection = recoverable && !absl::StrContains(key.recovery_level, "Purgeable");
  return good;
}

// Takes a token of RFC 9110 5.6.2, or the inside of a quoted string, from the front of `text`.
absl::string_view TakeWord(absl::string_view& text) {
  const bool quoted = absl::ConsumePrefix(&text, "\"");
  const size_t end = std::min(text.find_first_of(quoted ? "\"" : " \t,=\""), text.size());
  const absl::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + (quoted ? 1 : 0), text.size()));
  return word;
}

// The first parameter of the Bearer challenge in a WWW-Authenticate header (RFC 9110 11.6.1) that
// has one of `names`, unquoted; empty if there is none. What other schemes say is not for us.
absl::string_view ChallengeValue(absl::string_view challenges,
                                 std::initializer_list<absl::string_view> names) {
  const auto skip = [&challenges](absl::string_view what) {
    challenges.remove_prefix(std::min(challenges.find_first_not_of(what), challenges.size()));
  };
  bool bearer = false;
  for (skip(" \t,="); !challenges.empty(); skip(" \t,=")) {
    const absl::string_view name = TakeWord(challenges);
    skip(" \t");
    if (!absl::ConsumePrefix(&challenges, "=")) {
      bearer = absl::EqualsIgnoreCase(name, "Bearer");  // a scheme has no value
      continue;
    }
    skip(" \t");
    const absl::string_view value = TakeWord(challenges);
    if (bearer && std::any_of(names.begin(), names.end(), [&](absl::string_view wanted) {
          return absl::EqualsIgnoreCase(name, wanted);
        })) {
      return value;
    }
  }
  return "";
}

}  // namespace

absl::Status UnknownAnswer(absl::string_view what) {
  return WithCause(VaultUnreachable(absl::StrCat("unknown: ", what), kRetryAfter), "unknown");
}

absl::string_view ToString(VaultOperation operation) {
  switch (operation) {
    case VaultOperation::kDescribe: return "describe";
    case VaultOperation::kWrap: return "wrap";
    case VaultOperation::kUnwrap: return "unwrap";
  }
  return "unknown";
}

absl::Status MeaningOf(VaultOperation operation, const HttpResponse& response, bool key_is_there) {
  switch (response.status) {
    case 400: return BadRequest(operation, ParseJson(response));
    case 401: return TokenRefused();
    case 403: return Forbidden(operation, InnerCode(ParseJson(response)));
    case 404:
    case 410: return NotThere(operation, response, key_is_there);
    case 408:
      return WithCause(
          VaultUnreachable("timeout: the vault answered 408", RetryAfter(response, kRetryAfter)),
          "timeout");
    case 429:
      return WithCause(VaultThrottled(RetryAfter(response, kThrottledRetryAfter)), "throttled");
    default: break;
  }
  if (response.status < 500) {
    return UnknownAnswer(absl::StrCat("the vault answered ", response.status));
  }
  return WithCause(VaultUnreachable(absl::StrCat("http_5xx: the vault answered ", response.status),
                                    RetryAfter(response, kRetryAfter)),
                   "http_5xx");
}

absl::StatusOr<KeyDescription> ParseKeyBundle(const HttpResponse& response, const KeyRef& asked) {
  const json answer = ParseJson(response);
  if (!answer.is_object() || !answer.contains("key")) {
    return UnknownAnswer("the answer is no key");
  }
  const json& key = answer["key"];
  KeyDescription description;
  description.version_id = TextOf(key, "kid");
  CMK_RETURN_IF_ERROR(CheckKeyId(description.version_id, asked));
  description.type = ShownText(TextOf(key, "kty"), kMaxWordBytes);
  if (key.contains("key_ops") && key["key_ops"].is_array()) {
    for (const json& operation : key["key_ops"]) {
      if (!operation.is_string() || description.operations.size() == kMaxOperations) continue;
      description.operations.push_back(
          absl::AsciiStrToLower(ShownText(operation.get<std::string>(), kMaxOperationBytes)));
    }
  }
  description.size_bits = BitsOf(BytesOf(key, "n").value_or(""));
  if (absl::StartsWith(description.type, "oct")) description.size_bits = 256;
  if (answer.contains("attributes") && !ReadAttributes(answer["attributes"], description)) {
    return UnknownAnswer("the key's attributes are not what they should be");
  }
  return description;
}

absl::StatusOr<KeyOperationResult> ParseKeyOperation(const HttpResponse& response,
                                                     const KeyRef& asked) {
  const json answer = ParseJson(response);
  if (!answer.is_object()) return UnknownAnswer("the answer is no JSON object");
  KeyOperationResult result;
  result.version_id = TextOf(answer, "kid");
  CMK_RETURN_IF_ERROR(CheckKeyId(result.version_id, asked));
  std::optional<std::string> value = BytesOf(answer, "value");
  if (!value.has_value() || value->empty()) {
    return UnknownAnswer("the answer has no value");
  }
  result.value = std::move(*value);
  return result;
}

std::string ChallengeResource(absl::string_view challenge) {
  absl::string_view value = ChallengeValue(challenge, {"resource", "scope"});
  absl::ConsumeSuffix(&value, "/.default");
  absl::ConsumeSuffix(&value, "/");
  return std::string(value);
}

std::string ChallengeDirectory(absl::string_view challenge) {
  absl::string_view value = ChallengeValue(challenge, {"authorization", "authorization_uri"});
  if (!absl::ConsumePrefix(&value, "https://")) return "";
  const size_t host_end = value.find('/');
  if (host_end == absl::string_view::npos) return "";
  value.remove_prefix(host_end + 1);
  value = value.substr(0, value.find('/'));
  return IsGuid(value) ? absl::AsciiStrToLower(value) : "";
}

std::string VersionOf(absl::string_view version_id) {
  return std::string(version_id.substr(version_id.rfind('/') + 1));
}

bool SplitVersionId(absl::string_view version_id, absl::string_view vault_uri, KeyRef& key) {
  const std::string prefix = absl::StrCat(vault_uri, "/keys/");
  if (!absl::StartsWithIgnoreCase(version_id, prefix) || version_id.size() > kMaxKeyIdBytes) {
    return false;
  }
  const std::vector<absl::string_view> parts =
      absl::StrSplit(version_id.substr(prefix.size()), '/');
  if (parts.size() != 2 || !IsWord(parts[0]) || !IsWord(parts[1])) return false;
  key.key_name = std::string(parts[0]);
  key.version = std::string(parts[1]);
  return true;
}

}  // namespace cmkstore::vault
