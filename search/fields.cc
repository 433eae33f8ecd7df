#include "search/fields.h"

#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxSteps = 16;

absl::Status Wrong(absl::string_view source, absl::string_view what, size_t at) {
  return FieldInvalid(source, absl::StrCat(what, ", at byte ", at + 1));
}

// As searchable_text.h writes keys.
std::string Quoted(const std::string& step) {
  return nlohmann::json(step).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<Field> ToField(const std::vector<FieldStep>& steps, absl::string_view source) {
  static const auto* const kColumns = new std::map<std::string, std::pair<FieldKind, std::string>>{
      {"project", {FieldKind::kName, "d.project"}},
      {"collection", {FieldKind::kName, "d.collection"}},
      {"document", {FieldKind::kName, "d.document"}},
      {"content_type", {FieldKind::kName, "d.content_type"}},
      {"create_time", {FieldKind::kTime, "d.created"}},
      {"update_time", {FieldKind::kTime, "d.updated"}},
  };
  if (steps.size() > kMaxSteps) return FieldInvalid(source, "has a field of more than 16 steps");
  const std::string& first = steps.front().name;
  for (const FieldStep& step : steps) {
    // SQLite ends a step at the next quotation mark, whatever stands before it.
    if (first == "content" && absl::StrContains(step.name, '"')) {
      return FieldInvalid(source, "has a field with a quotation mark in a step");
    }
  }
  if (const auto column = kColumns->find(first); column != kColumns->end() && steps.size() == 1) {
    return Field{column->second.first, column->second.second, {}};
  }
  if (first == "labels" && steps.size() == 2) return Field{FieldKind::kLabel, "", {steps[1]}};
  if (first == "content" && steps.size() > 1) {
    return Field{FieldKind::kContent, "", {std::next(steps.begin()), steps.end()}};
  }
  return FieldInvalid(source,
                      "knows the fields project, collection, document, content_type, create_time, "
                      "update_time, labels.KEY and content.PATH");
}

}  // namespace

bool EndsWord(char c) { return absl::ascii_isspace(c) || absl::StrContains("()\"=!<>:,", c); }

absl::StatusOr<std::string> ScanQuoted(absl::string_view text, size_t& at,
                                       absl::string_view source) {
  std::string quoted;
  for (size_t next = at + 1; next < text.size(); ++next) {
    if (text[next] == '"') {
      at = next + 1;
      return quoted;
    }
    if (text[next] == '\\' && next + 1 < text.size()) ++next;
    quoted += text[next];
  }
  return Wrong(source, "a quotation mark is not closed", at);
}

absl::StatusOr<Field> ScanField(absl::string_view text, size_t& at, absl::string_view source) {
  std::vector<FieldStep> steps;
  for (;;) {
    FieldStep step;
    if (at < text.size() && text[at] == '"') {
      CMK_ASSIGN_OR_RETURN(step.name, ScanQuoted(text, at, source));
      step.quoted = true;
    } else {
      while (at < text.size() && !EndsWord(text[at]) && text[at] != '.') step.name += text[at++];
    }
    if (step.name.empty()) return Wrong(source, "a field, or a step of one, is missing", at);
    steps.push_back(std::move(step));
    if (at == text.size() || text[at] != '.') return ToField(steps, source);
    ++at;
  }
}

absl::StatusOr<Field> ParseField(absl::string_view text, absl::string_view source) {
  size_t at = 0;
  CMK_ASSIGN_OR_RETURN(Field field, ScanField(text, at, source));
  if (at < text.size()) return Wrong(source, "the field should end here", at);
  return field;
}

std::string JsonPath(const Field& field) {
  std::string path = "$";
  for (const FieldStep& step : field.steps) {
    uint32_t index = 0;
    const bool digits = step.name.find_first_not_of("0123456789") == std::string::npos;
    if (!step.quoted && digits && step.name.size() <= 6 && absl::SimpleAtoi(step.name, &index)) {
      absl::StrAppend(&path, "[", index, "]");
    } else {
      absl::StrAppend(&path, ".", Quoted(step.name));
    }
  }
  return path;
}

Sql ValueOf(const Field& field) {
  switch (field.kind) {
    case FieldKind::kName:
    case FieldKind::kTime: return {field.column, {}};
    case FieldKind::kLabel:
      return {"(SELECT value FROM labels WHERE doc = d.id AND name = ?)", {field.steps[0].name}};
    case FieldKind::kContent:
      return {"(SELECT json_extract(content, ?) FROM texts WHERE id = d.id)", {JsonPath(field)}};
  }
  return {"NULL", {}};
}

}  // namespace cmkstore::search
