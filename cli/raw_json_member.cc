#include "cli/raw_json_member.h"

#include <nlohmann/json.hpp>

namespace cmkstore::cli {
namespace {

constexpr absl::string_view kSpace = " \t\r\n";

size_t SkipSpace(absl::string_view text, size_t at) {
  const size_t next = text.find_first_not_of(kSpace, at);
  return next == absl::string_view::npos ? text.size() : next;
}

// One past the closing quote of the string that begins at `at`.
size_t EndOfString(absl::string_view text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

size_t EndOfValue(absl::string_view text, size_t at) {
  if (text[at] == '"') return EndOfString(text, at);
  if (text[at] != '{' && text[at] != '[') {
    const size_t end = text.find_first_of(",}] \t\r\n", at);
    return end == absl::string_view::npos ? text.size() : end;
  }
  int depth = 0;
  while (at < text.size()) {
    if (text[at] == '"') {
      at = EndOfString(text, at);
      continue;
    }
    if (text[at] == '{' || text[at] == '[') ++depth;
    if (text[at] == '}' || text[at] == ']') --depth;
    ++at;
    if (depth == 0) break;
  }
  return at;
}

}  // namespace

absl::string_view RawJsonMember(absl::string_view object, absl::string_view name) {
  absl::string_view found;
  size_t at = object.find('{') + 1;
  for (at = SkipSpace(object, at); at < object.size() && object[at] == '"';) {
    const size_t key_end = EndOfString(object, at);
    const absl::string_view quoted = object.substr(at, key_end - at);
    const auto key = nlohmann::json::parse(quoted.begin(), quoted.end(), nullptr, false);
    const size_t value = SkipSpace(object, SkipSpace(object, key_end) + 1);
    const size_t end = EndOfValue(object, value);
    // The last of several wins, as in parsers.
    if (key == std::string(name)) found = object.substr(value, end - value);
    at = SkipSpace(object, SkipSpace(object, end) + 1);
  }
  return found;
}

}  // namespace cmkstore::cli
