#include "search/searchable_text.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxBodyBytes = 256 << 10;
constexpr int kMaxDepth = 32;

void Flatten(const nlohmann::json& value, const std::string& path, int depth, std::string& out) {
  if (out.size() >= kMaxBodyBytes || depth > kMaxDepth) return;
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      Flatten(inner, path.empty() ? key : absl::StrCat(path, ".", key), depth + 1, out);
    }
  } else if (value.is_array()) {
    for (const auto& inner : value) Flatten(inner, path, depth + 1, out);
  } else if (!value.is_null()) {
    if (!out.empty()) out += "; ";
    if (!path.empty()) absl::StrAppend(&out, path, ": ");
    out += value.is_string() ? value.get_ref<const std::string&>()
                             : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
}

bool IsText(const std::string& content_type) {
  return absl::StartsWith(content_type, "text/") || absl::StrContains(content_type, "yaml") ||
         absl::StrContains(content_type, "xml");
}

}  // namespace

SearchableText ToSearchableText(const IndexedDocument& document) {
  SearchableText text;
  text.names = absl::StrCat(document.collection, " ", document.document);
  for (const auto& [key, value] : document.labels) {
    absl::StrAppend(&text.labels, text.labels.empty() ? "" : "; ", key, ": ", value);
  }
  if (absl::StrContains(document.content_type, "json")) {
    const auto parsed =
        nlohmann::json::parse(document.content, nullptr, /*allow_exceptions=*/false);
    text.is_json = !parsed.is_discarded();
    if (text.is_json) Flatten(parsed, "", 0, text.body);
  } else if (IsText(document.content_type)) {
    // By way of JSON, which replaces what is no UTF-8.
    const nlohmann::json whole = document.content.substr(0, kMaxBodyBytes);
    text.body =
        nlohmann::json::parse(whole.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
            .get<std::string>();
  }
  if (text.body.size() > kMaxBodyBytes) {
    size_t end = kMaxBodyBytes;  // not within a character
    while (end > 0 && (static_cast<uint8_t>(text.body[end]) & 0xc0) == 0x80) --end;
    text.body.resize(end);
  }
  return text;
}

}  // namespace cmkstore::search
