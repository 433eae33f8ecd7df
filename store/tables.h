#pragma once

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "store/typed_table.h"

// The tables, by what a row's key is made of. Documents and the change feed have files of their
// own.

namespace cmkstore::store {

// In a hub's partition.
using ProjectsTable =
    TypedTable<storage::v1::ProjectRecord, Table::kProjects, absl::string_view /*project*/>;
using DeksTable = TypedTable<storage::v1::DekRecord, Table::kDeks, uint32_t /*generation*/>;
using HubSecretsTable = TypedTable<crypto::SealedDocument, Table::kHubSecrets>;
using ResponsesTable = TypedTable<crypto::SealedDocument, Table::kResponses, BlindName /*request*/>;
using OperationsTable =
    TypedTable<storage::v1::OperationRecord, Table::kOperations, absl::string_view /*operation*/>;

// In the catalog.
using StoreTable = TypedTable<storage::v1::StoreRecord, Table::kStore>;
using PendingOperationsTable = TypedTable<storage::v1::PendingOperation, Table::kPendingOperations,
                                          HubUid, absl::string_view /*operation*/>;

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
