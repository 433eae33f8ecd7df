#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

enum class FieldKind { kName, kTime, kLabel, kContent };

// A field of a document as filters, orders and facets name it:
//   project, collection, document, content_type · create_time, update_time · labels.KEY ·
//   content.PATH
// A KEY or a step of PATH that is no plain word is written in quotes: labels."a b",
// content.metrics."f1-score".
struct Field {
  FieldKind kind = FieldKind::kName;
  std::string column;              // of names and times
  std::vector<std::string> steps;  // the label's key, or the path
};

// `steps` are the name's parts between dots. `source` names the request field for errors.
// Errors: FIELD_INVALID.
absl::StatusOr<Field> ToField(const std::vector<std::string>& steps, absl::string_view source);
// The same from text such as `labels."a b"`.
absl::StatusOr<Field> ParseField(absl::string_view text, absl::string_view source);

// The SQL expression of the field's value for the row `d` of docs; null when the document has none.
Sql ValueOf(const Field& field);
// The JSON path of a content field, as SQLite writes it.
std::string JsonPath(const Field& field);

}  // namespace cmkstore::search
