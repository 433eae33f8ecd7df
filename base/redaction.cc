#include "base/redaction.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmkstore {
namespace {

// What a credential begins with. "eyJ" is the base64 of `{"`.
constexpr std::array<absl::string_view, 3> kBeginnings = {"eyJ", "-----BEGIN", "Bearer "};

bool IsOfToken(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-_.~+/=", c);
}

// Where the credential that begins at the front of `text` ends.
size_t EndOfSecret(absl::string_view text, absl::string_view beginning) {
  if (beginning == "-----BEGIN") return text.size();
  size_t end = beginning.size();
  while (end < text.size() && IsOfToken(text[end])) ++end;
  return end;
}

}  // namespace

std::string RedactSecrets(absl::string_view text) {
  std::string clean;
  while (!text.empty()) {
    size_t at = absl::string_view::npos;
    absl::string_view beginning;
    for (absl::string_view one : kBeginnings) {
      if (const size_t found = text.find(one); found < at) {
        at = found;
        beginning = one;
      }
    }
    absl::StrAppend(&clean, text.substr(0, at));
    if (at == absl::string_view::npos) break;
    text.remove_prefix(at);
    absl::StrAppend(&clean, "[redacted]");
    text.remove_prefix(EndOfSecret(text, beginning));
  }
  return clean;
}

}  // namespace cmkstore
