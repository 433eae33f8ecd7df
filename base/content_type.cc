#include "base/content_type.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace cmkstore {
namespace {

constexpr absl::string_view kTexts[] = {
    "application/ecmascript", "application/graphql", "application/javascript", "application/jsonl",
    "application/sql",        "application/toml",    "application/x-ndjson",   "application/x-yaml",
    "application/xml",        "application/yaml",
};

std::string EssenceOf(absl::string_view content_type) {
  return absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))));
}

bool IsJsonEssence(absl::string_view essence) {
  return essence == "application/json" || essence == "text/json" ||
         absl::EndsWith(essence, "+json");
}

}  // namespace

bool IsJsonType(absl::string_view content_type) { return IsJsonEssence(EssenceOf(content_type)); }

bool IsTextType(absl::string_view content_type) {
  const std::string essence = EssenceOf(content_type);
  if (IsJsonEssence(essence)) return false;
  return absl::StartsWith(essence, "text/") || absl::EndsWith(essence, "+xml") ||
         absl::EndsWith(essence, "+yaml") ||
         std::find(std::begin(kTexts), std::end(kTexts), essence) != std::end(kTexts);
}

}  // namespace cmkstore
