#pragma once

#include <google/protobuf/message_lite.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "store/engine.h"

namespace cmkstore::store {

// Reading and writing of one table's records: protos of storage/v1, checked on their way back.

// Errors: STORE_CORRUPT when the row is no such record.
template <typename Record>
absl::StatusOr<Record> ParseRecord(const std::string& bytes) {
  Record record;
  if (!record.ParseFromString(bytes)) return StoreCorrupt("a record does not parse");
  return record;
}

template <typename Record>
absl::StatusOr<std::optional<Record>> GetRecord(const Engine& engine, const Partition& partition,
                                                const std::string& key) {
  CMK_ASSIGN_OR_RETURN(std::optional<std::string> row, engine.Get(partition, key));
  if (!row.has_value()) return std::nullopt;
  CMK_ASSIGN_OR_RETURN(Record record, ParseRecord<Record>(*row));
  return record;
}

template <typename Record>
absl::StatusOr<std::vector<Record>> ScanRecords(const Engine& engine, const Partition& partition,
                                                const KeyRange& range, size_t limit) {
  CMK_ASSIGN_OR_RETURN(std::vector<Row> rows, engine.Scan(partition, range, limit));
  std::vector<Record> records;
  records.reserve(rows.size());
  for (const Row& row : rows) {
    CMK_ASSIGN_OR_RETURN(Record record, ParseRecord<Record>(row.value));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace cmkstore::store
