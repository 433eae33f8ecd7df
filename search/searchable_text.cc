#include "search/searchable_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/content_type.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxBodyBytes = 256 << 10;
constexpr int kMaxDepth = 32;
constexpr int kMaxRewrittenDepth = 128;  // writing recurses; writes refuse what is deeper

// `path` is given back as it was: one buffer for all, for keys may be long and many.
void Flatten(const nlohmann::json& value, std::string& path, int depth, std::string& out) {
  if (out.size() >= kMaxBodyBytes || depth > kMaxDepth) return;
  if (value.is_object()) {
    const size_t before = path.size();
    for (const auto& [key, inner] : value.items()) {
      absl::StrAppend(&path, path.empty() ? "" : ".", key);
      Flatten(inner, path, depth + 1, out);
      path.resize(before);
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

void Trim(std::string& body) {
  // SQLite's functions of text end at a zero byte.
  std::replace(body.begin(), body.end(), '\0', ' ');
  if (body.size() <= kMaxBodyBytes) return;
  size_t end = kMaxBodyBytes;  // not within a character
  while (end > 0 && (static_cast<uint8_t>(body[end]) & 0xc0) == 0x80) --end;
  body.resize(end);
}

nlohmann::json Parse(absl::string_view json) {
  return nlohmann::json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
}

std::string BodyOf(const nlohmann::json& parsed) {
  std::string body, path;
  if (!parsed.is_discarded()) Flatten(parsed, path, 0, body);
  Trim(body);
  return body;
}

bool IsDeeperThan(int levels, const nlohmann::json& value) {
  if (!value.is_structured()) return false;
  return levels == 0 || std::any_of(value.begin(), value.end(), [levels](const auto& inner) {
           return IsDeeperThan(levels - 1, inner);
         });
}

size_t MembersOf(const nlohmann::json& value) {
  if (!value.is_structured()) return 0;
  size_t members = value.is_object() ? value.size() : 0;
  for (const auto& inner : value) members += MembersOf(inner);
  return members;
}

// Those of a well-formed text, one for each colon that stands in no string.
size_t MembersInText(absl::string_view json) {
  size_t members = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '"') in_string = !in_string;
    if (in_string && json[i] == '\\') ++i;
    if (!in_string && json[i] == ':') ++members;
  }
  return members;
}

// SQLite compares the steps of a path with the keys as the text has them, escapes and all, so they
// are written in the one way in which JsonPath writes steps. And it takes the first of a key that
// an object has twice, of which the words are the last one's.
std::string WithPlainKeys(const std::string& content, const nlohmann::json& parsed) {
  if (IsDeeperThan(kMaxRewrittenDepth, parsed)) return content;
  const bool plain =
      !absl::StrContains(content, '\\') && MembersInText(content) == MembersOf(parsed);
  return plain ? content : parsed.dump();
}

void SearchableBody(sqlite3_context* context, int /*arguments*/, sqlite3_value** values) {
  // A page of hits may have it made a thousand times.
  if (static_cast<const Sqlite*>(sqlite3_user_data(context))->IsCancelled()) {
    return sqlite3_result_error_code(context, SQLITE_INTERRUPT);
  }
  const auto* json = reinterpret_cast<const char*>(sqlite3_value_text(values[0]));
  if (json == nullptr) return;  // NULL
  const std::string body =
      BodyOf(Parse({json, static_cast<size_t>(sqlite3_value_bytes(values[0]))}));
  sqlite3_result_text64(context, body.data(), body.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace

SearchableText ToSearchableText(const IndexedDocument& document) {
  SearchableText text;
  text.names = absl::StrCat(document.collection, " ", document.document);
  for (const auto& [key, value] : document.labels) {
    absl::StrAppend(&text.labels, text.labels.empty() ? "" : "; ", key, ": ", value);
  }
  if (IsJsonType(document.content_type)) {
    const nlohmann::json parsed = Parse(document.content);
    text.body = BodyOf(parsed);
    if (!parsed.is_discarded()) text.json = WithPlainKeys(document.content, parsed);
  } else if (IsTextType(document.content_type)) {
    // By way of JSON, which replaces what is no UTF-8.
    const nlohmann::json whole = document.content.substr(0, kMaxBodyBytes);
    text.body =
        nlohmann::json::parse(whole.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
            .get<std::string>();
  }
  Trim(text.body);
  return text;
}

absl::Status AddSearchableBody(Sqlite& db) {
  return ToStatus(sqlite3_create_function_v2(db.handle(), "searchable_body", 1,
                                             SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                             &db, SearchableBody, nullptr, nullptr, nullptr));
}

}  // namespace cmkstore::search
