#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

enum class FieldKind { kName, kTime, kLabel, kContent };

struct FieldStep {
  std::string name;
  bool quoted = false;
};

// A field of a document as filters, orders and facets name it:
//   project, collection, document, content_type · create_time, update_time · labels.KEY ·
//   content.PATH
// A KEY or a step of PATH that is no plain word is written in quotes: labels."a b",
// content.metrics."f1-score". A step of digits is the place in an array, in quotes it is a key:
// content.tags.0, content.years."2024".
struct Field {
  FieldKind kind = FieldKind::kName;
  std::string column;            // of names and times
  std::vector<FieldStep> steps;  // the label's key, or the path
};

// Where a plain word of a filter, an order or a facet ends.
bool EndsWord(char c);

// Reads the quoted text that begins at `at` (a quotation mark) and moves `at` behind it; a
// backslash takes the next character as it is. `source` names the request field for errors.
//
// Errors, of all three: FIELD_INVALID, saying what is wrong at which byte.
absl::StatusOr<std::string> ScanQuoted(absl::string_view text, size_t& at,
                                       absl::string_view source);
// Reads the field that begins at `at` and moves `at` behind it.
absl::StatusOr<Field> ScanField(absl::string_view text, size_t& at, absl::string_view source);
// The field that the whole of `text` names.
absl::StatusOr<Field> ParseField(absl::string_view text, absl::string_view source);

// The SQL expression of the field's value for the row `d` of docs; null when the document has none.
Sql ValueOf(const Field& field);
// The JSON path of a content field, as SQLite writes it.
std::string JsonPath(const Field& field);

}  // namespace cmkstore::search
