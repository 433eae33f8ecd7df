#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"

namespace cmkstore::search {

// A document as the index takes it. `key` is its identity within the hub (blinded), not shown to
// anyone.
struct IndexedDocument {
  std::string key;      // ProjectUid ‖ BlindName of the document
  std::string project;  // readable project id
  std::string collection;
  std::string document;
  std::map<std::string, std::string> labels;
  std::string content_type;
  std::string content;  // JSON is flattened into searchable text; other text types are taken whole
  absl::Time create_time;
  absl::Time update_time;
};

struct IndexChange {
  std::string key;
  std::optional<IndexedDocument> document;  // absent: removed
};

struct SearchQuery {
  std::string text;    // full text: words, "phrases", prefix*, AND OR NOT, parentheses; empty = all
  std::string filter;  // AIP-160 over project, collection, document, labels.K, create_time,
                       // update_time, content.PATH
  std::string order_by;             // "" or "relevance"; "update_time desc, labels.team": AIP-132
  std::vector<std::string> facets;  // "collection", "project", "labels.K"
  size_t facet_limit = 10;          // values per facet
  size_t limit = 50;
  size_t offset = 0;
  std::string project;  // readable project id to stay within; empty = the whole hub
  bool snippets = true;
};

struct SearchHit {
  std::string project;
  std::string collection;
  std::string document;
  double score = 0;     // BM25, higher is better; 0 when the query has no text
  std::string snippet;  // matched words between U+0002 and U+0003
};

struct FacetValue {
  std::string value;
  uint64_t count = 0;
};

struct SearchResult {
  std::vector<SearchHit> hits;
  std::map<std::string, std::vector<FacetValue>> facets;
  uint64_t total = 0;  // matching documents; exact up to 10,000, then a lower bound
  bool total_is_exact = true;
  uint64_t indexed_sequence = 0;
};

struct IndexStats {
  uint64_t documents = 0;
  uint64_t file_bytes = 0;
  uint64_t indexed_sequence = 0;
};

// The search index of one hub: derived data, sealed page by page under the hub's index key.
//
// Thread-safe: one writer at a time, searches beside it. Blocking (disk). Closing wipes the key.
//
// Errors: FIELD_INVALID for a query or filter that does not parse (says where); INDEX_CORRUPT
// (DATA_LOSS) when a page does not open or the file is no index: the caller rebuilds; STORE_FULL.
class HubIndex {
 public:
  virtual ~HubIndex() = default;

  // Applies the changes and remembers `sequence` in one transaction; changes at or below the
  // remembered sequence must not be given again but do no harm.
  virtual absl::Status Apply(const std::vector<IndexChange>& changes, uint64_t sequence) = 0;
  virtual absl::StatusOr<SearchResult> Search(const SearchQuery& query) = 0;
  virtual absl::StatusOr<IndexStats> Stats() = 0;
  virtual uint64_t indexed_sequence() const = 0;
};

}  // namespace cmkstore::search
