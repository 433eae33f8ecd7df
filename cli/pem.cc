#include "cli/pem.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmkstore::cli {

constexpr absl::string_view kBegin = "-----BEGIN ", kDashes = "-----";
constexpr char kDerSequence = 0x30;

bool HoldsPem(absl::string_view text, absl::string_view label) {
  for (size_t at = text.find(kBegin); at != text.npos; at = text.find(kBegin)) {
    text.remove_prefix(at + kBegin.size());
    const absl::string_view found = text.substr(0, text.find(kDashes));
    if (!absl::EndsWith(found, label) || found.size() == text.size()) continue;
    const absl::string_view body = text.substr(found.size() + kDashes.size());
    const size_t end = body.find(absl::StrCat("-----END ", found, kDashes));
    std::string der;
    if (end != body.npos && absl::Base64Unescape(body.substr(0, end), &der) && !der.empty() &&
        der[0] == kDerSequence) {
      return true;
    }
  }
  return false;
}

}  // namespace cmkstore::cli
