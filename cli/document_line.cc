#include "cli/document_line.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/ids.h"
#include "base/json_problem.h"
#include "base/status_macros.h"
#include "cli/raw_json_member.h"

namespace cmkstore::cli {
namespace {

using nlohmann::json;

constexpr int kAnyDepth = std::numeric_limits<int>::max();
constexpr absl::string_view kFields[] = {"project", "collection",     "id",          "labels",
                                         "content", "content_base64", "content_type"};
constexpr char kJsonType[] = "application/json";

absl::StatusOr<std::string> Text(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return FieldInvalid(field, "must be a string");
  return found->get<std::string>();
}

absl::Status ReadLabels(const json& object, v1::Document& document) {
  const auto labels = object.find("labels");
  if (labels == object.end() || labels->is_null()) return absl::OkStatus();
  if (!labels->is_object()) return FieldInvalid("labels", "must be an object");
  for (const auto& [key, value] : labels->items()) {
    if (!value.is_string()) return FieldInvalid("labels", "values must be strings");
    (*document.mutable_labels())[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

absl::Status ReadContent(const json& object, absl::string_view line, v1::Document& document) {
  const auto content = object.find("content");
  const auto encoded = object.find("content_base64");
  if (content != object.end() && encoded != object.end()) {
    return FieldInvalid("content", "and content_base64 exclude each other");
  }
  if (encoded != object.end()) {
    std::string bytes;
    if (!encoded->is_string() || !absl::Base64Unescape(encoded->get<std::string>(), &bytes)) {
      return FieldInvalid("content_base64", "is no base64");
    }
    document.set_content(bytes);
    document.set_content_type("application/octet-stream");
  } else if (content != object.end() && content->is_string()) {
    document.set_content(content->get<std::string>());
    document.set_content_type("text/plain");
  } else if (content != object.end()) {
    document.set_content(std::string(RawJsonMember(line, "content")));
    document.set_content_type(kJsonType);
  }
  if (document.content().size() > kMaxContentBytes) {
    return FieldInvalid("content", absl::StrCat("must be at most ", kMaxContentBytes, " bytes"));
  }
  CMK_ASSIGN_OR_RETURN(const std::string type, Text(object, "content_type"));
  if (!type.empty()) document.set_content_type(type);
  return absl::OkStatus();
}

std::string Quoted(const std::string& text) { return json(text).dump(); }

bool IsField(absl::string_view key) {
  return std::find(std::begin(kFields), std::end(kFields), key) != std::end(kFields);
}

// A key without what is written now so and now otherwise: contentType, content-type.
std::string Plain(absl::string_view key) {
  std::string plain;
  for (const char c : key) {
    if (c != '_' && c != '-' && c != ' ') plain += absl::ascii_tolower(static_cast<uint8_t>(c));
  }
  return plain;
}

// Whether one letter more, less or another, or two letters the other way round, makes `a` of `b`.
bool IsOneSlipApart(absl::string_view a, absl::string_view b) {
  while (!a.empty() && !b.empty() && a.front() == b.front()) {
    a.remove_prefix(1), b.remove_prefix(1);
  }
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a.remove_suffix(1), b.remove_suffix(1);
  }
  if (a.size() <= 1 && b.size() <= 1) return true;
  return a.size() == 2 && b.size() == 2 && a[0] == b[1] && a[1] == b[0];
}

// What is optional would else be left out without a word.
absl::Status CheckForSlips(const json& object) {
  for (const char* field : {"project", "labels", "content", "content_base64", "content_type"}) {
    if (object.contains(field)) continue;
    for (const auto& [key, value] : object.items()) {
      if (IsField(key) || !IsOneSlipApart(Plain(key), Plain(field))) continue;
      return FieldInvalid(Quoted(key),
                          absl::StrCat("is no field of a line; is ", field, " meant?"));
    }
  }
  return absl::OkStatus();
}

// nlohmann leaves out what is no UTF-8 when told to.
bool IsUtf8(const std::string& text) {
  const std::string written = json(text).dump(-1, ' ', false, json::error_handler_t::ignore);
  return json::parse(written, nullptr, false) == text;
}

// Whether the content can stand in the line as it is: JSON, no string (which would be read as
// text), on one line, and without spaces around it, which the line would lose.
bool StandsAsJson(const v1::Document& document) {
  const std::string& content = document.content();
  const auto is_edge = [](char c) {
    return absl::StrContains(" \t\r\n\"", absl::string_view(&c, 1));
  };
  return document.content_type() == kJsonType && !content.empty() && !is_edge(content.front()) &&
         !is_edge(content.back()) && !absl::StrContains(content, "\n") &&
         !absl::StrContains(content, "\r") && json::accept(content);
}

}  // namespace

absl::StatusOr<DocumentLine> ParseDocumentLine(absl::string_view line) {
  // The parser takes the last of several members of one name.
  std::set<std::pair<int, std::string>> names;
  std::string outer, twice;
  const auto look = [&](int depth, json::parse_event_t event, const json& key) {
    if (event != json::parse_event_t::key || depth > 2) return true;
    if (depth == 1) outer = key.get<std::string>();
    if (depth == 2 && outer != "labels") return true;
    if (!names.emplace(depth, key.get<std::string>()).second) twice = key.get<std::string>();
    return true;
  };
  const json object = json::parse(line.begin(), line.end(), look, false);
  if (object.is_discarded()) return FieldInvalid("line", JsonProblem(line, kAnyDepth));
  if (!object.is_object()) return FieldInvalid("line", "is no JSON object");
  if (!twice.empty()) return FieldInvalid(Quoted(twice), "is there twice");
  CMK_RETURN_IF_ERROR(CheckForSlips(object));
  DocumentLine parsed;
  CMK_ASSIGN_OR_RETURN(parsed.project, Text(object, "project"));
  CMK_ASSIGN_OR_RETURN(parsed.collection, Text(object, "collection"));
  CMK_ASSIGN_OR_RETURN(parsed.id, Text(object, "id"));
  if (!parsed.project.empty()) CMK_RETURN_IF_ERROR(CheckId("project", parsed.project));
  CMK_RETURN_IF_ERROR(CheckId("collection", parsed.collection));
  CMK_RETURN_IF_ERROR(CheckId("id", parsed.id));
  CMK_RETURN_IF_ERROR(ReadLabels(object, parsed.document));
  CMK_RETURN_IF_ERROR(ReadContent(object, line, parsed.document));
  return parsed;
}

std::string ToDocumentLine(const v1::Document& document) {
  // tenants/T/hubs/H/projects/P/collections/C/documents/D
  const std::vector<std::string> name = absl::StrSplit(document.name(), '/');
  json labels = json::object();
  for (const auto& [key, value] : document.labels()) labels[key] = value;
  std::string line =
      absl::StrCat("{\"project\":", Quoted(name.at(5)), ",\"collection\":", Quoted(name.at(7)),
                   ",\"id\":", Quoted(name.at(9)), ",\"labels\":", labels.dump(),
                   ",\"content_type\":", Quoted(document.content_type()));
  if (StandsAsJson(document)) {
    absl::StrAppend(&line, ",\"content\":", document.content());
  } else if (IsUtf8(document.content())) {
    absl::StrAppend(&line, ",\"content\":", Quoted(document.content()));
  } else {
    absl::StrAppend(&line, ",\"content_base64\":\"", absl::Base64Escape(document.content()), "\"");
  }
  return line + "}";
}

}  // namespace cmkstore::cli
