#include "service/key_change_recovery.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/hub_directory.h"
#include "service/hub_key_source.h"
#include "store/tables.h"
#include "vault/azure_answers.h"

namespace cmkstore::service {
namespace {

using storage::v1::HubRecord;

constexpr size_t kHubsAtOnce = 1000;

absl::Status FinishKeyChange(store::Engine& engine, HubRecord record) {
  const store::Partition partition = HubDirectory::MakeEntry(record)->partition;
  CMK_ASSIGN_OR_RETURN(const bool changed, NameKeyThatWraps(engine, record));
  if (!changed) return EndKeyChange(engine, partition);
  record.set_revision(record.revision() + 1);
  Log(LogLevel::kWarning, "key_change_finished",
      {{"hub", absl::StrCat("tenants/", record.tenant(), "/hubs/", record.hub())},
       {"key_name", record.customer_key().key_name()}});
  store::WriteSet writes;
  store::HubsTable::Put(writes, record.tenant(), record.hub(), record);
  CMK_RETURN_IF_ERROR(ApplyBlocking(engine, store::CatalogPartition(), std::move(writes)).status());
  return EndKeyChange(engine, partition);
}

}  // namespace

absl::StatusOr<bool> NameKeyThatWraps(const store::Engine& engine, HubRecord& record) {
  const store::Partition partition = HubDirectory::MakeEntry(record)->partition;
  CMK_ASSIGN_OR_RETURN(const auto deks,
                       store::DeksTable(engine).List(partition, kMaxDekGenerations));
  CMK_ASSIGN_OR_RETURN(const auto kept, store::KeyChangeTable(engine).Get(partition));
  const bool differs = kept.has_value() && KeyRefOf(*kept) != KeyRefOf(record);
  storage::v1::CustomerKey& named = *record.mutable_customer_key();
  if (differs) named = *kept;
  vault::KeyRef wraps;
  if (deks.empty() || !vault::SplitVersionId(deks.back().kek_id(), named.vault_uri(), wraps)) {
    return differs;
  }
  const bool pinned = !named.key_version().empty();
  // A vault may answer in another case than it was asked.
  if (absl::EqualsIgnoreCase(named.key_name(), wraps.key_name) &&
      (!pinned || absl::EqualsIgnoreCase(named.key_version(), wraps.version))) {
    return differs;
  }
  named.set_key_name(wraps.key_name);
  if (pinned) named.set_key_version(wraps.version);
  return true;
}

absl::Status EndKeyChange(store::Engine& engine, const store::Partition& hub) {
  CMK_ASSIGN_OR_RETURN(const auto kept, store::KeyChangeTable(engine).Get(hub));
  if (!kept.has_value()) return absl::OkStatus();
  store::WriteSet writes;
  store::KeyChangeTable::Delete(writes);
  return ApplyBlocking(engine, hub, std::move(writes)).status();
}

absl::Status FinishKeyChanges(store::Engine& engine) {
  const store::HubsTable hubs(engine);
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    for (const HubRecord& record : records) {
      if (!record.has_customer_key() || record.state() == storage::v1::HUB_STATE_PURGED) continue;
      if (const absl::Status finished = FinishKeyChange(engine, record); !finished.ok()) {
        Log(LogLevel::kError, "hub_keys_unreadable",
            {{"hub", absl::StrCat("tenants/", record.tenant(), "/hubs/", record.hub())},
             {"reason", ReasonOf(finished)}});
      }
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::service
