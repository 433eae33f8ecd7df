#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/sealed_document.h"
#include "store/engine.h"
#include "store/key_layout.h"

namespace cmkstore::store {

// One table of the store: the only place that knows the keys of its rows and the form of its
// values. `Value` is a record of storage/v1, which holds no customer content, or an envelope;
// `Parts` are what a row's key is made of.
//
// A handle: copy it freely; the engine must outlive it. Reading may read the disk. Writing goes
// into a WriteSet, for Engine::Apply.
//
// Errors: those of Engine; STORE_CORRUPT when a row is no such record, DOCUMENT_CORRUPT or
// FORMAT_TOO_NEW when it is no envelope of ours.
template <typename Value, Table kTable, typename... Parts>
class TypedTable {
 public:
  explicit TypedTable(const Engine& engine) : engine_(&engine) {}

  // Nullopt: no such row.
  absl::StatusOr<std::optional<Value>> Get(const Partition& partition, Parts... parts) const {
    CMK_ASSIGN_OR_RETURN(std::optional<std::string> row, engine_->Get(partition, KeyOf(parts...)));
    if (!row.has_value()) return std::nullopt;
    CMK_ASSIGN_OR_RETURN(Value value, Parse(*std::move(row)));
    return value;
  }

  // Rows in the order of their keys: at most `limit` from the first on, or from just after a row.
  absl::StatusOr<std::vector<Value>> List(const Partition& partition, size_t limit) const {
    return Scan(partition, TableRange(kTable), limit);
  }
  absl::StatusOr<std::vector<Value>> ListAfter(const Partition& partition, Parts... parts,
                                               size_t limit) const {
    return Scan(partition, {After(KeyOf(parts...)), TableRange(kTable).end}, limit);
  }

  static void Put(WriteSet& writes, Parts... parts, Value value) {
    if constexpr (kSealed) {
      writes.Put(KeyOf(parts...), std::move(value));
    } else {
      writes.PutRecord(KeyOf(parts...), value.SerializeAsString());
    }
  }
  static void Delete(WriteSet& writes, Parts... parts) { writes.Delete(KeyOf(parts...)); }

  // Conditions of the commit, each with the error to answer when it does not hold.
  static void RequireAbsent(WriteSet& writes, Parts... parts, absl::Status error) {
    writes.RequireAbsent(KeyOf(parts...), std::move(error));
  }
  static void RequirePresent(WriteSet& writes, Parts... parts, absl::Status error) {
    writes.RequirePresent(KeyOf(parts...), std::move(error));
  }
  // The row is still what was read. A record serializes to the bytes that it was parsed from: none
  // that is compared has a map.
  static void RequireUnchanged(WriteSet& writes, Parts... parts, const Value& read,
                               absl::Status error) {
    if constexpr (kSealed) {
      writes.RequireBeginsWith(KeyOf(parts...), read.identity(), std::move(error));
    } else {
      writes.RequireEquals(KeyOf(parts...), read.SerializeAsString(), std::move(error));
    }
  }

 protected:
  static constexpr bool kSealed = std::is_same_v<Value, crypto::SealedDocument>;

  static std::string KeyOf(Parts... parts) { return MakeKey(kTable, parts...); }

  static absl::StatusOr<Value> Parse(std::string row) {
    if constexpr (kSealed) {
      return crypto::SealedDocument::Parse(std::move(row));
    } else {
      Value value;
      if (!value.ParseFromString(row)) return StoreCorrupt("a record does not parse");
      return value;
    }
  }

  absl::StatusOr<std::vector<Value>> Scan(const Partition& partition, const KeyRange& range,
                                          size_t limit) const {
    CMK_ASSIGN_OR_RETURN(std::vector<Row> rows, engine_->Scan(partition, range, limit));
    std::vector<Value> values;
    values.reserve(rows.size());
    for (Row& row : rows) {
      CMK_ASSIGN_OR_RETURN(Value value, Parse(std::move(row.value)));
      values.push_back(std::move(value));
    }
    return values;
  }

  const Engine& engine() const { return *engine_; }

 private:
  const Engine* engine_;
};

}  // namespace cmkstore::store
