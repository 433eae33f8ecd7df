#include "search/fields.h"

#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxSteps = 16;

}  // namespace

absl::StatusOr<Field> ToField(const std::vector<std::string>& steps, absl::string_view source) {
  static const auto* const kColumns = new std::map<std::string, std::pair<FieldKind, std::string>>{
      {"project", {FieldKind::kName, "d.project"}},
      {"collection", {FieldKind::kName, "d.collection"}},
      {"document", {FieldKind::kName, "d.document"}},
      {"content_type", {FieldKind::kName, "d.content_type"}},
      {"create_time", {FieldKind::kTime, "d.created"}},
      {"update_time", {FieldKind::kTime, "d.updated"}},
  };
  if (steps.size() > kMaxSteps) return FieldInvalid(source, "has a field of more than 16 steps");
  for (const std::string& step : steps) {
    // A zero byte would end SQLite's path before its closing quotation mark.
    if (step.empty() || step.find_first_of("\"\0", 0, 2) != std::string::npos) {
      return FieldInvalid(
          source, "has a field with an empty step, or a quotation mark or zero byte in one");
    }
  }
  if (const auto column = kColumns->find(steps.front());
      column != kColumns->end() && steps.size() == 1) {
    return Field{column->second.first, column->second.second, {}};
  }
  if (steps.front() == "labels" && steps.size() == 2)
    return Field{FieldKind::kLabel, "", {steps[1]}};
  if (steps.front() == "content" && steps.size() > 1) {
    return Field{FieldKind::kContent, "", {std::next(steps.begin()), steps.end()}};
  }
  return FieldInvalid(source,
                      absl::StrCat("knows the fields project, collection, document, content_type, ",
                                   source == "facets" ? "" : "create_time, update_time, ",
                                   "labels.KEY and content.PATH"));
}

absl::StatusOr<Field> ParseField(absl::string_view text, absl::string_view source) {
  std::vector<std::string> steps;
  size_t at = 0;
  for (;;) {
    std::string step;
    if (at < text.size() && text[at] == '"') {
      const size_t end = text.find('"', at + 1);
      if (end == absl::string_view::npos)
        return FieldInvalid(source, "has an unclosed quotation mark");
      step = std::string(text.substr(at + 1, end - at - 1));
      at = end + 1;
    } else {
      while (at < text.size() && text[at] != '.') step += text[at++];
    }
    steps.push_back(std::move(step));
    if (at == text.size()) break;
    if (text[at] != '.') return FieldInvalid(source, "needs a dot between the steps of a field");
    ++at;
  }
  return ToField(steps, source);
}

std::string JsonPath(const Field& field) {
  std::string path = "$";
  for (const std::string& step : field.steps) {
    uint32_t index = 0;
    const bool is_index = step.size() <= 6 && !step.empty() &&
                          step.find_first_not_of("0123456789") == std::string::npos;
    for (const char digit : is_index ? step : "")
      index = index * 10 + static_cast<uint32_t>(digit - '0');
    absl::StrAppend(&path,
                    is_index ? absl::StrCat("[", index, "]") : absl::StrCat(".\"", step, "\""));
  }
  return path;
}

Sql ValueOf(const Field& field) {
  switch (field.kind) {
    case FieldKind::kName:
    case FieldKind::kTime: return {field.column, {}};
    case FieldKind::kLabel:
      return {"(SELECT value FROM labels WHERE doc = d.id AND name = ?)", {field.steps[0]}};
    case FieldKind::kContent:
      return {"(SELECT json_extract(content, ?) FROM texts WHERE id = d.id)", {JsonPath(field)}};
  }
  return {"NULL", {}};
}

}  // namespace cmkstore::search
