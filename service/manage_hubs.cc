#include "service/manage_hubs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/hub_secrets.h"
#include "keycache/dek_minter.h"
#include "service/apply_blocking.h"
#include "service/hub_codec.h"
#include "service/hub_key_source.h"
#include "service/limits.h"
#include "service/request_mark.h"
#include "service/timestamps.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMinRetention = absl::Hours(7 * 24);
constexpr absl::Duration kMaxRetention = absl::Hours(90 * 24);
constexpr absl::string_view kConflict = "HUB_CHANGED";  // never leaves this file

}  // namespace

v1::Hub ManageHubs::ToHubNow(const HubEntry& entry) {
  return ToHubBy(entry, clock_.WallNow() + kOlderKeyTimeout);
}

v1::Hub ManageHubs::ToHubBy(const HubEntry& entry, absl::Time deadline) {
  const storage::v1::HubRecord& record = entry.record;
  v1::Hub hub = ToHub(record, entry.uid);
  if (hub.state() != v1::Hub::ACTIVE) return hub;
  const absl::StatusOr<keycache::HubKeysPtr> keys = hubs_.key_cache().Lookup(entry.uid);
  // An outage, or our own login that fails, locks nobody: GetKeyStatus says what stands in the way.
  if (record.locked_by_push() || HasReason(keys.status(), "CUSTOMER_KEY_REVOKED")) {
    hub.set_state(v1::Hub::LOCKED);
    hub.set_state_reason(record.locked_by_push() ? "HUB_LOCKED" : ReasonOf(keys.status()));
    return hub;
  }
  // The display name is sealed: shown while the keys are at hand, left out while they are not.
  if (!keys.ok() || *keys == nullptr) {
    // Until the vault hands the key out, its last word before a restart counts (KL-12).
    const auto now = hubs_.key_cache().Status(entry.uid).availability;
    if (now != keycache::KeyAvailability::kAvailable &&
        receipts_.StandingDenial(entry.uid).has_value()) {
      hub.set_state(v1::Hub::LOCKED);
      hub.set_state_reason("CUSTOMER_KEY_REVOKED");
    }
    return hub;
  }
  const auto sealed = crypto::SealedDocument::Parse(record.sealed_body());
  if (!sealed.ok()) return hub;
  const auto opened =
      hubs_.OpenRowBlocking(**keys, deadline, HubBinding(record, entry.uid), *sealed);
  storage::v1::HubBody body;
  if (opened.ok() && body.ParseFromString(*opened)) hub.set_display_name(body.display_name());
  return hub;
}

std::optional<absl::StatusOr<v1::Hub>> ManageHubs::FirstAnswer(
    const TenantId& tenant, const HubId& id, const v1::CreateHubRequest& request) {
  absl::StatusOr<HubEntryPtr> existing = hubs_.directory().Find(tenant, id);
  if (HasReason(existing.status(), "HUB_NOT_FOUND")) {
    existing = hubs_.directory().FindPurged(tenant, id);
    if (HasReason(existing.status(), "HUB_NOT_FOUND")) return std::nullopt;
  }
  if (!existing.ok()) return existing.status();
  if (!IsRepeat((*existing)->record, RequestMark(request), clock_.WallNow())) {
    return AlreadyExists("hub");
  }
  v1::Hub hub = ToHubNow(**existing);
  hub.set_display_name(request.hub().display_name());
  return hub;
}

absl::Status ManageHubs::TakeBackName(const storage::v1::HubRecord& record, const HubName& name,
                                      HubUid uid) {
  store::WriteSet unnamed;
  store::HubsTable::RequireUnchanged(unnamed, record.tenant(), record.hub(), record, StoreBusy());
  store::HubsTable::Delete(unnamed, record.tenant(), record.hub());
  CMK_RETURN_IF_ERROR(
      ApplyBlocking(engine_, store::CatalogPartition(), std::move(unnamed)).status());
  hubs_.directory().ForgetHub(name.tenant, name.hub, uid);
  return StoreBusy();
}

absl::StatusOr<v1::Hub> ManageHubs::Create(const AdmittedCall& call,
                                           const v1::CreateHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const TenantName parent, TenantName::Parse("parent", request.parent()));
  CMK_RETURN_IF_ERROR(CheckId("hub_id", request.hub_id()));
  CMK_ASSIGN_OR_RETURN(const HubId id, HubId::Parse(request.hub_id()));
  CMK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  CMK_RETURN_IF_ERROR(CheckDisplayName("hub.display_name", request.hub().display_name()));
  storage::v1::HubRecord record;
  CMK_RETURN_IF_ERROR(ReadEncryption(request.hub().encryption(), record));
  CMK_RETURN_IF_ERROR(ReadOutageGrace(request.hub(), record));
  CMK_RETURN_IF_ERROR(ReadIpRanges(request.hub(), record));
  const HubUid uid = random_.NewUid<HubUid>();
  record.set_uid(std::string(uid.bytes()));
  record.set_tenant(parent.tenant.value());
  record.set_hub(id.value());
  record.set_shard(static_cast<uint8_t>(uid.bytes()[0]) % engine_.shard_count());
  record.set_state(storage::v1::HUB_STATE_ACTIVE);
  const int64_t now = absl::ToUnixMicros(clock_.WallNow());
  record.set_create_time_micros(now);
  record.set_update_time_micros(now);
  record.set_revision(1);
  record.set_create_mark(RequestMark(request));

  if (const auto existing = FirstAnswer(parent.tenant, id, request); existing.has_value()) {
    return *existing;
  }
  if (!record.platform_managed()) {
    CMK_ASSIGN_OR_RETURN(*record.mutable_customer_key()->mutable_directory(),
                         checks_.Require(record.tenant(), KeyRefOf(record), call.deadline()));
  }
  const vault::KeyRef key = KeyRefOf(record);
  if (request.validate_only()) return ToHubNow(*HubDirectory::MakeEntry(record));

  CMK_ASSIGN_OR_RETURN(
      const keycache::MintedDek minted,
      keycache::MintDek(vault_, key, record.tenant(), uid, 1, random_, clock_, call.deadline()));
  CMK_ASSIGN_OR_RETURN(const crypto::SealKey seal, minted.dek.MakeSealKey());
  storage::v1::HubBody body;
  body.set_display_name(request.hub().display_name());
  CMK_ASSIGN_OR_RETURN(
      crypto::SealedDocument sealed,
      crypto::Seal(seal, HubBinding(record, uid), 1, body.SerializeAsString(), random_));
  record.set_sealed_body(std::move(sealed).Release());
  CMK_ASSIGN_OR_RETURN(crypto::SealedDocument secrets,
                       crypto::SealHubSecrets(seal, record.tenant(), uid,
                                              crypto::HubSecrets::Generate(random_), random_));

  // The keys first, then the name: a crash between leaves rows that nothing names, never a hub
  // without keys.
  store::WriteSet keys;
  store::DeksTable::Put(keys, 1, ToRecord(minted.record));
  store::HubSecretsTable::Put(keys, std::move(secrets));
  const store::Partition partition = store::HubPartition(record.shard(), uid);
  CMK_RETURN_IF_ERROR(ApplyBlocking(engine_, partition, std::move(keys)).status());
  store::WriteSet named;
  store::HubsTable::RequireAbsent(named, record.tenant(), record.hub(), AlreadyExists("hub"));
  store::RestoreTable::RequireAbsent(
      named, StateInvalid("a backup is being restored; try again when that has ended"));
  store::HubsTable::Put(named, record.tenant(), record.hub(), record);
  const absl::Status taken =
      ApplyBlocking(engine_, store::CatalogPartition(), std::move(named)).status();
  if (HasReason(taken, "HUB_ALREADY_EXISTS") || HasReason(taken, "STATE_INVALID")) {
    CMK_RETURN_IF_ERROR(engine_.DropPartition(partition));
    return FirstAnswer(parent.tenant, id, request).value_or(taken);
  }
  CMK_RETURN_IF_ERROR(taken);
  // A restore that began and failed between the two has dropped what had no name.
  CMK_ASSIGN_OR_RETURN(const auto kept, store::HubSecretsTable(engine_).Get(partition));
  if (!kept.has_value()) return TakeBackName(record, {parent.tenant, id}, uid);
  Log(LogLevel::kInfo, "hub_created",
      {{"hub_uid", uid.ToHex()}, {"hub", HubName{parent.tenant, id}.ToString()}});
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, hubs_.directory().Find(parent.tenant, id));
  hubs_.CountWraps(uid, 1);
  index_life_.provision(uid);
  v1::Hub hub = ToHubNow(*entry);
  hub.set_display_name(request.hub().display_name());
  return hub;
}

absl::StatusOr<v1::Hub> ManageHubs::Get(const AdmittedCall& call,
                                        const v1::GetHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  absl::StatusOr<HubEntryPtr> entry = hubs_.Find(call, name);
  if (HasReason(entry.status(), "HUB_NOT_FOUND")) {
    entry = hubs_.directory().FindPurged(name.tenant, name.hub);
  }
  CMK_RETURN_IF_ERROR(entry.status());
  hubs_.Warm(**entry, std::min(call.deadline(), clock_.WallNow() + kNameTimeout));
  return ToHubNow(**entry);
}

absl::StatusOr<v1::ListHubsResponse> ManageHubs::List(const AdmittedCall& call,
                                                      const v1::ListHubsRequest& request) {
  CMK_ASSIGN_OR_RETURN(const TenantName parent, TenantName::Parse("parent", request.parent()));
  CMK_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  const std::string question =
      absl::StrCat("ListHubs ", request.parent(), " ", request.show_deleted());
  CMK_ASSIGN_OR_RETURN(const std::string cursor,
                       tokens_.Decode(call.caller(), question, request.page_token()));
  CMK_ASSIGN_OR_RETURN(const std::vector<HubEntryPtr> entries,
                       hubs_.directory().List(parent.tenant, cursor, page_size + 1));
  const absl::Time deadline = std::min(call.deadline(), clock_.WallNow() + kOlderKeyTimeout);
  v1::ListHubsResponse response;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == page_size) {
      response.set_next_page_token(
          tokens_.Encode(call.caller(), question, entries[i - 1]->record.hub()));
      break;
    }
    const storage::v1::HubState state = entries[i]->record.state();
    const bool gone =
        state == storage::v1::HUB_STATE_DELETED || state == storage::v1::HUB_STATE_PURGED;
    if (!gone || request.show_deleted()) *response.add_hubs() = ToHubBy(*entries[i], deadline);
  }
  return response;
}

absl::StatusOr<HubEntryPtr> ManageHubs::Change(
    const HubName& name, const std::function<absl::Status(storage::v1::HubRecord&)>& edit) {
  return ChangeWith(name,
                    [&](storage::v1::HubRecord& record, store::WriteSet&) { return edit(record); });
}

absl::StatusOr<HubEntryPtr> ManageHubs::ChangeAny(
    const HubName& name, const std::function<absl::Status(storage::v1::HubRecord&)>& edit) {
  return Commit(name,
                [&](storage::v1::HubRecord& record, store::WriteSet&) { return edit(record); });
}

absl::StatusOr<HubEntryPtr> ManageHubs::ChangeWith(const HubName& name, const EditAndWrite& edit) {
  return Commit(name, [&](storage::v1::HubRecord& record, store::WriteSet& writes) {
    return record.state() == storage::v1::HUB_STATE_PURGED ? NotFound("hub") : edit(record, writes);
  });
}

absl::StatusOr<HubEntryPtr> ManageHubs::Commit(const HubName& name, const EditAndWrite& edit) {
  const std::string &tenant = name.tenant.value(), &hub = name.hub.value();
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const auto before,
                         store::HubsTable(engine_).Get(store::CatalogPartition(), tenant, hub));
    if (!before.has_value()) return NotFound("hub");
    storage::v1::HubRecord record = *before;
    store::WriteSet writes;
    CMK_RETURN_IF_ERROR(edit(record, writes));
    record.set_revision(record.revision() + 1);
    record.set_update_time_micros(absl::ToUnixMicros(clock_.WallNow()));
    store::HubsTable::RequireUnchanged(writes, tenant, hub, *before,
                                       MakeError(absl::StatusCode::kAborted, kConflict, ""));
    store::HubsTable::Put(writes, tenant, hub, record);
    const absl::Status applied =
        ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)).status();
    if (HasReason(applied, kConflict)) continue;  // somebody else's change came first
    CMK_RETURN_IF_ERROR(applied);
    HubEntryPtr entry = HubDirectory::MakeEntry(std::move(record));
    hubs_.directory().ForgetHub(name.tenant, name.hub, entry->uid);
    return entry;
  }
}

absl::StatusOr<v1::Hub> ManageHubs::Delete(const AdmittedCall& call,
                                           const v1::DeleteHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  const absl::Duration retention =
      request.has_retention() ? ToAbsl(request.retention()) : kMinRetention;
  if (retention < kMinRetention || retention > kMaxRetention) {
    return FieldInvalid("retention", "must be 7 to 90 days");
  }
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr before, hubs_.Find(call, name));
  if (!request.etag().empty() && request.etag() != HubEtag(before->record)) return EtagMismatch();
  if (before->record.state() == storage::v1::HUB_STATE_DELETED) return ToHubNow(*before);
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, Change(name, [&](storage::v1::HubRecord& record) {
                         if (!request.etag().empty() && request.etag() != HubEtag(record))
                           return EtagMismatch();
                         record.set_state(storage::v1::HUB_STATE_DELETED);
                         const absl::Time now = clock_.WallNow();
                         record.set_delete_time_micros(absl::ToUnixMicros(now));
                         record.set_purge_time_micros(absl::ToUnixMicros(now + retention));
                         return absl::OkStatus();
                       }));
  hubs_.key_cache().Forget(entry->uid);
  index_life_.close(entry->uid);
  Log(LogLevel::kInfo, "hub_deleted", {{"hub_uid", entry->uid.ToHex()}, {"hub", entry->Name()}});
  return ToHubNow(*entry);
}

absl::StatusOr<v1::Hub> ManageHubs::Undelete(const AdmittedCall& /*call*/,
                                             const v1::UndeleteHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, Change(name, [&](storage::v1::HubRecord& record) {
                         if (record.state() != storage::v1::HUB_STATE_DELETED) {
                           return StateInvalid("the hub is not deleted");
                         }
                         if (absl::FromUnixMicros(record.purge_time_micros()) <= clock_.WallNow()) {
                           return StateInvalid("the hub's retention has ended");
                         }
                         record.set_state(storage::v1::HUB_STATE_ACTIVE);
                         record.clear_delete_time_micros();
                         record.clear_purge_time_micros();
                         return absl::OkStatus();
                       }));
  Log(LogLevel::kInfo, "hub_undeleted", {{"hub_uid", entry->uid.ToHex()}, {"hub", entry->Name()}});
  return ToHubNow(*entry);
}

}  // namespace cmkstore::service
