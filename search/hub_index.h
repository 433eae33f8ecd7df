#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
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

// The state of one document after a change.
struct IndexChange {
  // Identity within the hub: its project's uid (16 bytes), then what tells it apart there. The uid
  // alone, without a document, removes everything of the project.
  std::string key;
  std::optional<IndexedDocument> document;  // absent: removed
};

struct SearchQuery {
  std::string
      text;  // words, "phrases", prefix*, AND OR NOT, parentheses; empty = all (text_query.h)
  std::string filter;               // AIP-160 (filter.h)
  std::string order_by;             // AIP-132; "" = relevance with a text, else newest change first
  std::vector<std::string> facets;  // fields to count values of
  size_t facet_limit = 10;          // values per facet
  size_t limit = 50;
  size_t offset = 0;
  std::string project;  // readable project id to stay within; empty = the whole hub
};

struct SearchHit {
  std::string project;
  std::string collection;
  std::string document;
  double score = 0;  // BM25, higher is better; 0 when the query has no text
  std::string
      snippet;  // a passage of the document; matched words between kMatchBegin and kMatchEnd
};
inline constexpr char kMatchBegin = '\x02', kMatchEnd = '\x03';

struct FacetValue {
  std::string value;
  uint64_t count = 0;
};

struct SearchResult {
  std::vector<SearchHit> hits;
  std::vector<std::vector<FacetValue>> facets;  // in the order of the query's
  uint64_t total = 0;                           // matching documents, counted up to a bound
  bool total_is_exact = true;
  uint64_t indexed_sequence = 0;
};

struct IndexStats {
  uint64_t documents = 0;
  uint64_t file_bytes = 0;
  uint64_t indexed_sequence = 0;
};

// The search index of one hub: derived data, sealed under the hub's index key.
//
// Thread-safe; calls on one index run one after another. Blocking (disk). Nothing of it is ever
// logged.
//
// Errors: FIELD_INVALID for a query, filter or order that does not parse (says where);
// QUOTA_EXCEEDED for a search that looks at too much; INDEX_CORRUPT when a part of it does not open
// or does not add up: the caller rebuilds; STORE_FULL, STORE_BUSY; HUB_LOCKED after Close.
class HubIndex {
 public:
  virtual ~HubIndex() = default;

  // Applies the changes and remembers `sequence` in one transaction. Applying again does no harm.
  virtual absl::Status Apply(const std::vector<IndexChange>& changes, uint64_t sequence) = 0;
  virtual absl::StatusOr<SearchResult> Search(const SearchQuery& query) = 0;
  virtual absl::StatusOr<IndexStats> Stats() = 0;
  virtual uint64_t indexed_sequence() const = 0;
};

}  // namespace cmkstore::search
