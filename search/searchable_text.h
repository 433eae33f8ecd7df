#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "search/hub_index.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// What search sees of a document. Customer content: never log it.
struct SearchableText {
  std::string names;   // collection and document id
  std::string labels;  // "key value" pairs
  // JSON as "path: value" pairs of the first 32 levels, other text as it is; at most 256 KiB of it.
  std::string body;
  std::string json;  // what filters read: the content with its keys plain, each once; empty: none
};

SearchableText ToSearchableText(const IndexedDocument& document);

// Adds the SQL function searchable_body(json), the body of a document that is JSON: what the index
// need not store twice. An index whose rows were made by another version of this function is
// another schema.
absl::Status AddSearchableBody(Sqlite& db);

}  // namespace cmkstore::search
