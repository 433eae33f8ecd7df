#include "store/documents_table.h"

#include "absl/strings/match.h"

namespace cmkstore::store {
namespace {

constexpr size_t kPart = ProjectUid::kBytes;

absl::StatusOr<DocumentKey> ParseKey(absl::string_view key) {
  if (key.size() != 1 + 3 * kPart) return StoreCorrupt("a document's key does not parse");
  DocumentKey parsed;
  CMK_ASSIGN_OR_RETURN(parsed.project, ProjectUid::FromBytes(key.substr(1, kPart)));
  CMK_ASSIGN_OR_RETURN(parsed.collection, BlindName::FromBytes(key.substr(1 + kPart, kPart)));
  CMK_ASSIGN_OR_RETURN(parsed.document, BlindName::FromBytes(key.substr(1 + 2 * kPart, kPart)));
  return parsed;
}

std::string PrefixOf(const DocumentScope& scope) {
  std::string prefix = MakeKey(Table::kDocuments);
  if (scope.project.has_value()) AppendPart(*scope.project, prefix);
  if (scope.collection.has_value()) AppendPart(*scope.collection, prefix);
  return prefix;
}

}  // namespace

void AppendPart(const DocumentKey& key, std::string& out) {
  AppendPart(key.project, out);
  AppendPart(key.collection, out);
  AppendPart(key.document, out);
}

void DocumentsTable::RequireNone(WriteSet& writes, const DocumentScope& scope, absl::Status error) {
  writes.RequireNoneWithPrefix(PrefixOf(scope), std::move(error));
}

absl::StatusOr<DocumentsTable::Answers> DocumentsTable::MultiGet(const Partition& partition,
                                                                 absl::Span<const DocumentKey> keys,
                                                                 size_t enough_bytes) const {
  std::vector<std::string> wanted;
  wanted.reserve(keys.size());
  for (const DocumentKey& key : keys) wanted.push_back(KeyOf(key));
  CMK_ASSIGN_OR_RETURN(auto rows, engine().MultiGet(partition, wanted, enough_bytes));
  Answers found;
  found.reserve(rows.size());
  for (std::optional<std::string>& row : rows) {
    if (row.has_value()) {
      found.emplace_back(Parse(*std::move(row)));
    } else {
      found.emplace_back(std::nullopt);
    }
  }
  return found;
}

absl::StatusOr<KeyRange> DocumentsTable::RangeBehind(const DocumentScope& scope,
                                                     absl::string_view cursor) {
  const std::string prefix = PrefixOf(scope);
  // From a cursor before the scope the walk would run through what belongs to others.
  if (!cursor.empty() && !absl::StartsWith(cursor, prefix)) {
    return InvariantBroken("a cursor outside of what is walked");
  }
  KeyRange range = PrefixRange(prefix);
  if (!cursor.empty()) range.begin = After(cursor);
  return range;
}

absl::StatusOr<std::vector<Row>> DocumentsTable::ScanRows(const Partition& partition,
                                                          const DocumentScope& scope,
                                                          absl::string_view cursor,
                                                          ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(const KeyRange range, RangeBehind(scope, cursor));
  return engine().Scan(partition, range, limit);
}

absl::StatusOr<std::vector<DocumentRow>> DocumentsTable::ParseRows(std::vector<Row> rows) {
  std::vector<DocumentRow> found;
  found.reserve(rows.size());
  for (Row& row : rows) {
    CMK_ASSIGN_OR_RETURN(DocumentKey key, ParseKey(row.key));
    const size_t bytes = row.value.size();
    found.push_back({key, bytes, Parse(std::move(row.value))});
  }
  return found;
}

absl::StatusOr<std::vector<DocumentRow>> DocumentsTable::Walk(const Partition& partition,
                                                              const DocumentScope& scope,
                                                              absl::string_view cursor,
                                                              ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(std::vector<Row> rows, ScanRows(partition, scope, cursor, limit));
  return ParseRows(std::move(rows));
}

absl::StatusOr<ReadableDocuments> DocumentsTable::WalkReadable(const Partition& partition,
                                                               const DocumentScope& scope,
                                                               absl::string_view cursor,
                                                               ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(const KeyRange range, RangeBehind(scope, cursor));
  CMK_ASSIGN_OR_RETURN(ReadableRows read, engine().ScanReadable(partition, range, limit));
  ReadableDocuments found;
  CMK_ASSIGN_OR_RETURN(found.rows, ParseRows(std::move(read.rows)));
  found.damaged = read.behind_damage.has_value();
  if (found.damaged && *read.behind_damage < range.end) found.behind_damage = *read.behind_damage;
  return found;
}

absl::StatusOr<std::vector<std::pair<DocumentKey, size_t>>> DocumentsTable::WalkSizes(
    const Partition& partition, const DocumentScope& scope, absl::string_view cursor,
    ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(const std::vector<Row> rows, ScanRows(partition, scope, cursor, limit));
  std::vector<std::pair<DocumentKey, size_t>> found;
  found.reserve(rows.size());
  for (const Row& row : rows) {
    CMK_ASSIGN_OR_RETURN(const DocumentKey key, ParseKey(row.key));
    found.emplace_back(key, row.value.size());
  }
  return found;
}

absl::StatusOr<std::vector<DocumentKey>> DocumentsTable::WalkKeys(const Partition& partition,
                                                                  const DocumentScope& scope,
                                                                  absl::string_view cursor,
                                                                  ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(const std::vector<Row> rows, ScanRows(partition, scope, cursor, limit));
  std::vector<DocumentKey> found;
  found.reserve(rows.size());
  for (const Row& row : rows) {
    CMK_ASSIGN_OR_RETURN(found.emplace_back(), ParseKey(row.key));
  }
  return found;
}

}  // namespace cmkstore::store
