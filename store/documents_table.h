#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "store/typed_table.h"

namespace cmkstore::store {

// Where a document stands within its hub.
struct DocumentKey {
  ProjectUid project;
  BlindName collection;
  BlindName document;

  friend bool operator==(const DocumentKey&, const DocumentKey&) = default;
};

// A part of a hub's documents: all, one project's, or one collection's (its project set too).
struct DocumentScope {
  std::optional<ProjectUid> project;
  std::optional<BlindName> collection;
};

struct DocumentRow {
  DocumentKey key;
  size_t bytes = 0;  // of what is stored
  // Or why this row is no envelope, which says nothing of the others.
  absl::StatusOr<crypto::SealedDocument> sealed;
};

// As far as can be read.
struct ReadableDocuments {
  std::vector<DocumentRow> rows;
  bool damaged = false;       // some documents behind these rows cannot be read
  std::string behind_damage;  // cursor to go on with; empty: no more are in the scope
};

// The documents of a hub; see TypedTable.
class DocumentsTable : public TypedTable<crypto::SealedDocument, Table::kDocuments, DocumentKey> {
 public:
  using TypedTable::TypedTable;

  // What Get answers to each, in the order of `keys`; one snapshot. Fewer than keys, one at least,
  // when their sealed bytes are more than `enough_bytes`.
  using Answers = std::vector<absl::StatusOr<std::optional<crypto::SealedDocument>>>;
  absl::StatusOr<Answers> MultiGet(const Partition& partition, absl::Span<const DocumentKey> keys,
                                   size_t enough_bytes) const;
  // In the order of their keys, from just behind `cursor` (empty: from the first), up to the limit;
  // its bytes are of the sealed documents.
  absl::StatusOr<std::vector<DocumentRow>> Walk(const Partition& partition,
                                                const DocumentScope& scope,
                                                absl::string_view cursor, ReadLimit limit) const;
  // The same past what is damaged, which the answer tells of (Engine::ScanReadable).
  absl::StatusOr<ReadableDocuments> WalkReadable(const Partition& partition,
                                                 const DocumentScope& scope,
                                                 absl::string_view cursor, ReadLimit limit) const;
  // The same without looking at the values: also finds what is damaged.
  absl::StatusOr<std::vector<DocumentKey>> WalkKeys(const Partition& partition,
                                                    const DocumentScope& scope,
                                                    absl::string_view cursor,
                                                    ReadLimit limit) const;
  // The same with the size of each value.
  absl::StatusOr<std::vector<std::pair<DocumentKey, size_t>>> WalkSizes(const Partition& partition,
                                                                        const DocumentScope& scope,
                                                                        absl::string_view cursor,
                                                                        ReadLimit limit) const;
  // A condition of the commit: no document is in the scope.
  static void RequireNone(WriteSet& writes, const DocumentScope& scope, absl::Status error);
  // For Walk: to go on behind this document. Opaque.
  static std::string CursorAt(const DocumentKey& key) { return KeyOf(key); }

 private:
  static absl::StatusOr<KeyRange> RangeBehind(const DocumentScope& scope, absl::string_view cursor);
  absl::StatusOr<std::vector<Row>> ScanRows(const Partition& partition, const DocumentScope& scope,
                                            absl::string_view cursor, ReadLimit limit) const;
  static absl::StatusOr<std::vector<DocumentRow>> ParseRows(std::vector<Row> rows);
};

// A document's key is three parts.
void AppendPart(const DocumentKey& key, std::string& out);

}  // namespace cmkstore::store
