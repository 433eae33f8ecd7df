#pragma once

#include <string>

#include "search/hub_index.h"

namespace cmkstore::search {

// What full text search sees of a document. Customer content: never log it.
struct SearchableText {
  std::string names;   // collection and document id
  std::string labels;  // "key value" pairs
  std::string body;    // JSON as "path: value" pairs, other text as it is; at most 256 KiB of it
  bool is_json = false;
};

SearchableText ToSearchableText(const IndexedDocument& document);

}  // namespace cmkstore::search
