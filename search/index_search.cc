#include "search/index_search.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/fields.h"
#include "search/filter.h"
#include "search/order_by.h"
#include "search/text_query.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxFacets = 8;
constexpr size_t kSnippetWords = 24;
// More make no passage: FTS5 compares each with each, minutes for a long text, and nothing ends it.
constexpr int64_t kMaxOccurrences = 2000;

struct Match {
  int64_t id = 0;
  double score = 0;
};

class Search {
 public:
  Search(Sqlite& db, const SearchQuery& query) : db_(db), query_(query) {}

  // Reads the question; nothing has been looked up yet.
  absl::Status Parse() {
    if (!absl::StripAsciiWhitespace(query_.text).empty()) {
      CMK_ASSIGN_OR_RETURN(expression_, ToFtsExpression(db_, query_.text));
    }
    if (!absl::StripAsciiWhitespace(query_.filter).empty()) {
      CMK_ASSIGN_OR_RETURN(filter_, ToSqlCondition(query_.filter, !expression_.has_value()));
    }
    const absl::string_view order = absl::StripAsciiWhitespace(query_.order_by);
    if (order == "relevance" && !expression_.has_value()) {
      return FieldInvalid("order_by", "relevance needs a query");
    }
    if (!order.empty() && order != "relevance") {
      CMK_ASSIGN_OR_RETURN(order_, ToSqlOrder(query_.order_by));
    }
    if (query_.facets.size() > kMaxFacets)
      return FieldInvalid("facets", "must be at most 8 fields");
    for (const std::string& facet : query_.facets) {
      CMK_ASSIGN_OR_RETURN(Field field, ParseField(facet, "facets"));
      const bool counted = field.kind == FieldKind::kLabel || field.column == "d.project" ||
                           field.column == "d.collection";
      if (!counted) return FieldInvalid("facets", "may be project, collection and labels.KEY");
      facets_.push_back(std::move(field));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<SearchResult> Run(size_t counted) {
    SearchResult result;
    const bool by_relevance = expression_.has_value() && !order_.has_value();
    CMK_ASSIGN_OR_RETURN(std::vector<Match> matches,
                         Newest(counted + 1, by_relevance ? counted : 0));
    result.total_is_exact = matches.size() <= counted;
    if (!result.total_is_exact) matches.pop_back();
    result.total = matches.size();
    if (matches.empty()) {
      result.facets.resize(facets_.size());
      return result;
    }
    floor_ = matches.back().id;
    for (const Field& facet : facets_) {
      CMK_ASSIGN_OR_RETURN(result.facets.emplace_back(), CountValues(facet));
    }
    if (order_.has_value()) {
      CMK_ASSIGN_OR_RETURN(matches, Ordered());
    } else {
      const size_t begin = std::min(query_.offset, matches.size());
      const size_t end = std::min(begin + query_.limit, matches.size());
      if (by_relevance) {  // no more of the order than is shown
        std::partial_sort(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(end),
                          matches.end(), [](const Match& left, const Match& right) {
                            return left.score != right.score ? left.score > right.score
                                                             : left.id > right.id;
                          });
      }
      matches = std::vector<Match>(matches.begin() + static_cast<std::ptrdiff_t>(begin),
                                   matches.begin() + static_cast<std::ptrdiff_t>(end));
    }
    for (const Match& match : matches) {
      CMK_ASSIGN_OR_RETURN(result.hits.emplace_back(), Show(match));
    }
    if (expression_.has_value()) CMK_RETURN_IF_ERROR(AddSnippets(matches, result.hits));
    return result;
  }

 private:
  // FROM and WHERE of all that matches and is not older than the floor.
  Sql Matching() const {
    Sql sql;
    if (expression_.has_value()) {
      sql = {" FROM fts CROSS JOIN docs d ON d.id = fts.rowid WHERE fts MATCH ?", {*expression_}};
      if (floor_ > 0) sql.Append({" AND fts.rowid >= ?", {floor_}});
    } else {
      sql = {" FROM docs d WHERE d.id >= ?", {floor_}};
    }
    if (!query_.project.empty()) sql.Append({" AND d.project = ?", {query_.project}});
    if (filter_.has_value()) {
      sql.text += " AND ";
      sql.Append(*filter_);
    }
    return sql;
  }

  absl::StatusOr<std::vector<Match>> Collect(const Sql& sql) {
    CMK_ASSIGN_OR_RETURN(Statement statement, db_.Prepare(sql));
    std::vector<Match> matches;
    for (;;) {
      CMK_ASSIGN_OR_RETURN(const bool row, statement.Step());
      if (!row) return matches;
      matches.push_back({statement.Int(0), statement.Real(1)});
    }
  }

  // The newest `limit` matches, the first `ranked` of them with their scores. One walk: to set up a
  // phrase or a prefix is what costs.
  absl::StatusOr<std::vector<Match>> Newest(size_t limit, size_t ranked) {
    const bool text_alone =
        expression_.has_value() && query_.project.empty() && !filter_.has_value();
    if (text_alone) {  // the index alone knows
      return Collect(
          {"SELECT rowid, relevance(fts, ?) FROM fts WHERE fts MATCH ? "
           "ORDER BY rowid DESC LIMIT ?",
           {static_cast<int64_t>(ranked), *expression_, static_cast<int64_t>(limit)}});
    }
    Sql sql{"SELECT d.id, 0", {}};
    if (expression_.has_value()) {
      sql = {"SELECT d.id, relevance(fts, ?)", {static_cast<int64_t>(ranked)}};
    }
    sql.Append(Matching());
    sql.text += expression_.has_value() ? " ORDER BY fts.rowid DESC LIMIT ?"
                                        : " ORDER BY d.id DESC LIMIT ?";
    sql.values.emplace_back(static_cast<int64_t>(limit));
    return Collect(sql);
  }

  absl::StatusOr<std::vector<Match>> Ordered() {
    Sql sql{"SELECT d.id, 0", {}};
    sql.Append(Matching());
    sql.text += " ORDER BY ";
    sql.Append(*order_);
    sql.Append({", d.id DESC LIMIT ? OFFSET ?",
                {static_cast<int64_t>(query_.limit), static_cast<int64_t>(query_.offset)}});
    return Collect(sql);
  }

  absl::StatusOr<std::vector<FacetValue>> CountValues(const Field& field) {
    Sql sql{"SELECT value, count(*) FROM (SELECT ", {}};
    sql.Append(ValueOf(field));
    sql.text += " AS value";
    sql.Append(Matching());
    sql.Append({") WHERE value IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
                {static_cast<int64_t>(query_.facet_limit)}});
    CMK_ASSIGN_OR_RETURN(Statement statement, db_.Prepare(sql));
    std::vector<FacetValue> values;
    for (;;) {
      CMK_ASSIGN_OR_RETURN(const bool row, statement.Step());
      if (!row) return values;
      values.push_back({statement.Text(0), static_cast<uint64_t>(statement.Int(1))});
    }
  }

  absl::StatusOr<SearchHit> Show(const Match& match) {
    SearchHit hit;
    hit.score = match.score;
    CMK_ASSIGN_OR_RETURN(
        Statement place,
        db_.Prepare({"SELECT project, collection, document, key, updated FROM docs WHERE id = ?",
                     {match.id}}));
    CMK_ASSIGN_OR_RETURN(const bool found, place.Step());
    if (!found) return IndexCorrupt("a match has no document");
    hit.project = place.Text(0);
    hit.collection = place.Text(1);
    hit.document = place.Text(2);
    hit.project_uid = place.Text(3).substr(0, kProjectUidBytes);
    hit.update_time = absl::FromUnixMicros(place.Int(4));
    return hit;
  }

  // One walk over the matches between the oldest and the newest hit; only a hit's passage is made.
  absl::Status AddSnippets(const std::vector<Match>& matches, std::vector<SearchHit>& hits) {
    if (matches.empty()) return absl::OkStatus();
    absl::flat_hash_map<int64_t, SearchHit*> wanted;
    std::string list = "[";
    int64_t oldest = matches.front().id, newest = oldest;
    for (size_t i = 0; i < matches.size(); ++i) {
      wanted[matches[i].id] = &hits[i];
      absl::StrAppend(&list, i == 0 ? "" : ",", matches[i].id);
      oldest = std::min(oldest, matches[i].id);
      newest = std::max(newest, matches[i].id);
    }
    CMK_ASSIGN_OR_RETURN(
        Statement snippets,
        db_.Prepare({"SELECT rowid, CASE WHEN occurrences(fts, ?) <= ? THEN "
                     "snippet(fts, -1, ?, ?, '…', ?) END FROM fts WHERE fts MATCH ? AND "
                     "rowid BETWEEN ? AND ? AND +rowid IN (SELECT value FROM json_each(?))",
                     {kMaxOccurrences, kMaxOccurrences, std::string(1, kMatchBegin),
                      std::string(1, kMatchEnd), static_cast<int64_t>(kSnippetWords), *expression_,
                      oldest, newest, absl::StrCat(list, "]")}}));
    for (;;) {
      CMK_ASSIGN_OR_RETURN(const bool row, snippets.Step());
      if (!row) return absl::OkStatus();
      wanted[snippets.Int(0)]->snippet = snippets.Text(1);
    }
  }

  Sqlite& db_;
  const SearchQuery& query_;
  std::optional<std::string> expression_;
  std::optional<Sql> filter_, order_;
  std::vector<Field> facets_;
  int64_t floor_ = 0;  // oldest row to look at
};

}  // namespace

absl::StatusOr<SearchResult> RunSearch(Sqlite& db, const SearchQuery& query, size_t counted) {
  Search search(db, query);
  CMK_RETURN_IF_ERROR(search.Parse());
  return search.Run(counted);
}

}  // namespace cmkstore::search
