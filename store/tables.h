#pragma once

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "store/typed_table.h"

// The tables, by what a row's key is made of. Documents and the change feed have files of their
// own.

namespace cmkstore::store {

// In a hub's partition.
class ProjectsTable
    : public TypedTable<storage::v1::ProjectRecord, Table::kProjects, absl::string_view> {
 public:
  using TypedTable::TypedTable;
  // The project is there and is this one, not another that was made under its id later. A record
  // begins with its uid, field 1.
  static void RequireUid(WriteSet& writes, absl::string_view project, ProjectUid uid,
                         absl::Status error) {
    storage::v1::ProjectRecord begin;
    begin.set_uid(std::string(uid.bytes()));
    writes.RequireBeginsWith(KeyOf(project), begin.SerializeAsString(), std::move(error));
  }
};
using DeksTable = TypedTable<storage::v1::DekRecord, Table::kDeks, uint32_t /*generation*/>;
using SkippedTable = TypedTable<storage::v1::SkippedSequences, Table::kSkipped>;
// The key that wraps the hub's DEKs, until its record in the catalog names it.
using KeyChangeTable = TypedTable<storage::v1::CustomerKey, Table::kKeyChange>;
using HubSecretsTable = TypedTable<crypto::SealedDocument, Table::kHubSecrets>;
using ResponsesTable = TypedTable<crypto::SealedDocument, Table::kResponses, BlindName /*request*/>;
// The same answers by the time of their expiry.
class ResponsesByTimeTable : public TypedTable<storage::v1::KeptResponse, Table::kResponsesByTime,
                                               uint64_t /*expire micros*/, BlindName> {
 public:
  using TypedTable::TypedTable;
  // At most `limit` of those that have expired before `now_micros`.
  absl::StatusOr<std::vector<storage::v1::KeptResponse>> ListExpired(const Partition& partition,
                                                                     uint64_t now_micros,
                                                                     size_t limit) const {
    return Scan(partition,
                {MakeKey(Table::kResponsesByTime), MakeKey(Table::kResponsesByTime, now_micros)},
                limit);
  }
};
using OperationsTable =
    TypedTable<storage::v1::OperationRecord, Table::kOperations, absl::string_view /*operation*/>;

// In the catalog.
using StoreTable = TypedTable<storage::v1::StoreRecord, Table::kStore>;
using RestoreTable = TypedTable<storage::v1::RestoreRecord, Table::kRestore>;
using LocksTable = TypedTable<storage::v1::LockRecord, Table::kLocks, HubUid>;
class PendingOperationsTable
    : public TypedTable<storage::v1::PendingOperation, Table::kPendingOperations, HubUid,
                        absl::string_view /*operation*/> {
 public:
  using TypedTable::TypedTable;
  absl::StatusOr<std::vector<storage::v1::PendingOperation>> ListOfHub(HubUid hub,
                                                                       size_t limit) const {
    return Scan(CatalogPartition(), PrefixRange(MakeKey(Table::kPendingOperations, hub)), limit);
  }
  // Those of all, each with its hub, which the key alone has.
  struct OfHub {
    HubUid hub;
    storage::v1::PendingOperation pending;
  };
  // In the order of their keys, from just behind `after` (null: from the first).
  absl::StatusOr<std::vector<OfHub>> ListAll(const OfHub* after, size_t limit) const {
    KeyRange range = TableRange(Table::kPendingOperations);
    if (after != nullptr) range.begin = After(KeyOf(after->hub, after->pending.operation()));
    CMK_ASSIGN_OR_RETURN(std::vector<Row> rows, engine().Scan(CatalogPartition(), range, limit));
    std::vector<OfHub> found;
    for (Row& row : rows) {
      CMK_ASSIGN_OR_RETURN(const HubUid hub,
                           HubUid::FromBytes(absl::string_view(row.key).substr(1, HubUid::kBytes)));
      CMK_ASSIGN_OR_RETURN(storage::v1::PendingOperation pending, Parse(std::move(row.value)));
      found.push_back({hub, std::move(pending)});
    }
    return found;
  }
};

class HubsTable : public TypedTable<storage::v1::HubRecord, Table::kHubsByName,
                                    absl::string_view /*tenant*/, absl::string_view /*hub*/> {
 public:
  using TypedTable::TypedTable;
  // The tenant's hubs by name, from just behind `after` (empty: from the first).
  absl::StatusOr<std::vector<storage::v1::HubRecord>> ListOfTenant(absl::string_view tenant,
                                                                   absl::string_view after,
                                                                   size_t limit) const {
    KeyRange range = PrefixRange(MakeKey(Table::kHubsByName, tenant));
    if (!after.empty()) range.begin = After(KeyOf(tenant, after));
    return Scan(CatalogPartition(), range, limit);
  }
};

}  // namespace cmkstore::store
