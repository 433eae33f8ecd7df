#include "vault/login_refusal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"

namespace cmkstore::vault {
namespace {

constexpr size_t kMaxErrorBytes = 64;
constexpr size_t kMaxCodes = 4;
constexpr uint64_t kMaxCode = 999'999'999;
constexpr absl::string_view kRefusalUrl = "cmkstore/login_refusal";

bool IsOauthCode(const std::string& word) {
  return word.size() <= kMaxErrorBytes && std::all_of(word.begin(), word.end(), [](char c) {
           return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_';
         });
}

}  // namespace

LoginRefusal ParseLoginRefusal(const HttpResponse& response) {
  LoginRefusal refusal;
  const nlohmann::json answer = nlohmann::json::parse(response.body, nullptr, false);
  if (!answer.is_object()) return refusal;
  const auto error = answer.find("error");
  if (error != answer.end() && error->is_string() && IsOauthCode(error->get<std::string>())) {
    refusal.error = error->get<std::string>();
  }
  const auto codes = answer.find("error_codes");
  if (codes == answer.end() || !codes->is_array()) return refusal;
  for (const nlohmann::json& code : *codes) {
    if (refusal.codes.size() == kMaxCodes) break;
    if (!code.is_number_unsigned() || code.get<uint64_t>() > kMaxCode) continue;
    refusal.codes.push_back(code.get<int64_t>());
  }
  return refusal;
}

absl::Status LoginRefused(absl::string_view who, const HttpResponse& response) {
  return WithRefusal(VaultLoginFailed(absl::StrCat(who, " answered ", response.status)), response);
}

absl::Status WithRefusal(absl::Status status, const HttpResponse& response) {
  const LoginRefusal refusal = ParseLoginRefusal(response);
  std::vector<std::string> words;
  if (!refusal.error.empty()) words.push_back(refusal.error);
  for (const int64_t code : refusal.codes) words.push_back(absl::StrCat(code));
  if (!words.empty()) status.SetPayload(kRefusalUrl, absl::Cord(absl::StrJoin(words, " ")));
  return status;
}

std::string RefusalOf(const absl::Status& status) {
  const absl::optional<absl::Cord> refusal = status.GetPayload(kRefusalUrl);
  return refusal.has_value() ? std::string(*refusal) : "";
}

}  // namespace cmkstore::vault
