#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace cmkstore::search {

// A document as the index takes it. Customer content: never log it.
struct IndexedDocument {
  std::string project;  // readable project id
  std::string collection;
  std::string document;
  std::map<std::string, std::string> labels;
  std::string content_type;
  std::string content;  // searchable when it is JSON or other text
  absl::Time create_time;
  absl::Time update_time;
};

inline constexpr size_t kProjectUidBytes = 16;

// The state of one document after a change.
struct IndexChange {
  // Identity within the hub: its project's uid, then what tells it apart there. The uid
  // alone, without a document, removes everything of the project.
  std::string key;
  std::optional<IndexedDocument> document;  // absent: removed, or
  bool unreadable = false;                  // stored, and what is stored does not open
};

struct SearchQuery {
  // Words, "phrases", prefix*, AND OR NOT, parentheses; empty = all (text_query.h).
  std::string text;
  std::string filter;               // AIP-160 (filter.h)
  std::string order_by;             // AIP-132; "" = relevance with a text, else newest change first
  std::vector<std::string> facets;  // fields to count values of
  size_t facet_limit = 10;          // values per facet
  size_t limit = 50;
  size_t offset = 0;
  std::string project;  // readable project id to stay within; empty = the whole hub
  // Whether nobody waits for the answer any more; asked now and then. Empty: somebody does.
  std::function<bool()> given_up;
};

struct SearchHit {
  std::string project;
  std::string project_uid;  // of the project that had the document when it was indexed
  std::string collection;
  std::string document;
  absl::Time update_time;  // of the state that was indexed
  double score = 0;        // BM25, higher is better; 0 when the query has no text
  // A passage, words between kMatchBegin and kMatchEnd; "" without, or of more than 2,000.
  std::string snippet;
};
// No text has them, for UTF-8 does not.
inline constexpr char kMatchBegin = '\xfe', kMatchEnd = '\xff';

struct FacetValue {
  std::string value;
  uint64_t count = 0;
};

struct SearchResult {
  std::vector<SearchHit> hits;
  std::vector<std::vector<FacetValue>> facets;  // in the order of the query's
  uint64_t total = 0;                           // matching documents, counted up to a bound
  bool total_is_exact = true;                   // no more match, and nothing unreadable might
  uint64_t indexed_sequence = 0;
};

struct IndexStats {
  uint64_t documents = 0;
  uint64_t unreadable = 0;  // left out because what is stored does not open
  uint64_t file_bytes = 0;
  uint64_t indexed_sequence = 0;
};

}  // namespace cmkstore::search
