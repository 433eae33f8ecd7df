#include "service/manage_hubs.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/hub_secrets.h"
#include "keycache/dek_minter.h"
#include "service/awaiters.h"
#include "service/hub_key_source.h"
#include "service/limits.h"
#include "service/timestamps.h"
#include "store/key_layout.h"
#include "store/records.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMaxGrace = absl::Hours(24);
constexpr absl::Duration kDefaultGrace = absl::Hours(1);
constexpr absl::Duration kMinRetention = absl::Hours(7 * 24);
constexpr absl::Duration kMaxRetention = absl::Hours(90 * 24);

crypto::Binding HubBinding(const storage::v1::HubRecord& record, HubUid uid) {
  crypto::Binding binding;
  binding.kind = crypto::RowKind::kHub;
  binding.tenant = record.tenant();
  binding.hub = uid;
  return binding;
}

std::string HubEtag(const storage::v1::HubRecord& record) {
  return absl::WebSafeBase64Escape(absl::StrCat(record.uid(), record.revision()));
}

absl::Status ReadEncryption(const v1::Encryption& encryption, storage::v1::HubRecord& record) {
  if (encryption.has_platform_managed()) {
    record.set_platform_managed(true);
    return absl::OkStatus();
  }
  if (!encryption.has_customer_managed()) {
    return FieldInvalid("hub.encryption", "must be customer_managed or platform_managed");
  }
  const v1::CustomerManagedKey& key = encryption.customer_managed();
  storage::v1::CustomerKey& stored = *record.mutable_customer_key();
  stored.set_vault_uri(key.vault_uri());
  stored.set_key_name(key.key_name());
  stored.set_key_version(key.key_version());
  stored.set_identity(key.identity());
  return absl::OkStatus();
}

absl::Status ApplyAndWait(store::Engine& engine, const store::Partition& partition,
                          store::WriteSet writes) {
  return BlockOnCompletion<store::Sequence>([&](Completion<store::Sequence> done) {
           engine.Apply(partition, std::move(writes), std::move(done));
         })
      .status();
}

}  // namespace

v1::Hub ManageHubs::ToHub(const HubEntry& entry) {
  const storage::v1::HubRecord& record = entry.record;
  v1::Hub hub;
  hub.set_name(absl::StrCat("tenants/", record.tenant(), "/hubs/", record.hub()));
  hub.set_uid(entry.uid.ToHex());
  if (record.platform_managed()) {
    hub.mutable_encryption()->mutable_platform_managed();
  } else {
    v1::CustomerManagedKey& key = *hub.mutable_encryption()->mutable_customer_managed();
    key.set_vault_uri(record.customer_key().vault_uri());
    key.set_key_name(record.customer_key().key_name());
    key.set_key_version(record.customer_key().key_version());
    key.set_identity(record.customer_key().identity());
  }
  *hub.mutable_outage_grace() = ToDuration(absl::Seconds(record.outage_grace_seconds()));
  switch (record.state()) {
    case storage::v1::HUB_STATE_SUSPENDED: hub.set_state(v1::Hub::SUSPENDED); break;
    case storage::v1::HUB_STATE_DELETED: hub.set_state(v1::Hub::DELETED); break;
    case storage::v1::HUB_STATE_PURGED: hub.set_state(v1::Hub::PURGED); break;
    default: hub.set_state(v1::Hub::ACTIVE); break;
  }
  // The display name is sealed: shown while the keys are at hand, left out while they are not.
  const absl::StatusOr<keycache::HubKeysPtr> keys = hubs_.key_cache().Lookup(entry.uid);
  if (hub.state() == v1::Hub::ACTIVE && !keys.ok()) {
    hub.set_state(v1::Hub::LOCKED);
    hub.set_state_reason(ReasonOf(keys.status()));
  }
  if (record.locked_by_push() && hub.state() == v1::Hub::ACTIVE) {
    hub.set_state(v1::Hub::LOCKED);
    hub.set_state_reason("HUB_LOCKED");
  }
  if (keys.ok() && *keys != nullptr && hub.state() == v1::Hub::ACTIVE) {
    auto sealed = crypto::SealedDocument::Parse(record.sealed_body());
    if (sealed.ok()) {
      auto opened = hubs_.OpenRowBlocking(**keys, clock_.WallNow() + absl::Seconds(5),
                                          HubBinding(record, entry.uid), *sealed);
      storage::v1::HubBody body;
      if (opened.ok() && body.ParseFromString(*opened)) hub.set_display_name(body.display_name());
    }
  }
  hub.mutable_managed_resources()->set_shard(record.shard());
  hub.mutable_managed_resources()->set_search_index(absl::StrCat(hub.name(), "/searchIndex"));
  *hub.mutable_create_time() = ToTimestamp(record.create_time_micros());
  *hub.mutable_update_time() = ToTimestamp(record.update_time_micros());
  if (record.delete_time_micros() != 0) {
    *hub.mutable_delete_time() = ToTimestamp(record.delete_time_micros());
    *hub.mutable_purge_time() = ToTimestamp(record.purge_time_micros());
  }
  hub.set_etag(HubEtag(record));
  return hub;
}

absl::StatusOr<v1::Hub> ManageHubs::Create(const AdmittedCall& call,
                                           const v1::CreateHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const TenantName parent, TenantName::Parse("parent", request.parent()));
  CMK_ASSIGN_OR_RETURN(const HubId id, HubId::Parse(request.hub_id()));
  CMK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  CMK_RETURN_IF_ERROR(CheckDisplayName("hub.display_name", request.hub().display_name()));
  storage::v1::HubRecord record;
  CMK_RETURN_IF_ERROR(ReadEncryption(request.hub().encryption(), record));
  const absl::Duration grace =
      request.hub().has_outage_grace() ? ToAbsl(request.hub().outage_grace()) : kDefaultGrace;
  if (grace < absl::ZeroDuration() || grace > kMaxGrace) {
    return FieldInvalid("hub.outage_grace", "must be 0 to 24 h");
  }
  const HubUid uid = random_.NewUid<HubUid>();
  record.set_uid(std::string(uid.bytes()));
  record.set_tenant(parent.tenant.value());
  record.set_hub(id.value());
  record.set_shard(static_cast<uint8_t>(uid.bytes()[0]) % engine_.shard_count());
  record.set_state(storage::v1::HUB_STATE_ACTIVE);
  record.set_outage_grace_seconds(absl::ToInt64Seconds(grace));
  const int64_t now = absl::ToUnixMicros(clock_.WallNow());
  record.set_create_time_micros(now);
  record.set_update_time_micros(now);
  record.set_revision(1);

  const std::string catalog_key = store::HubKey(parent.tenant.value(), id.value());
  CMK_ASSIGN_OR_RETURN(std::optional<std::string> existing,
                       engine_.Get(store::CatalogPartition(), catalog_key));
  if (existing.has_value()) return AlreadyExists("hub");
  const vault::KeyRef key = KeyRefOf(record);
  if (!record.platform_managed()) CMK_RETURN_IF_ERROR(checks_.Require(key, call.deadline()));
  if (request.validate_only()) return ToHub(*HubDirectory::MakeEntry(record));

  CMK_ASSIGN_OR_RETURN(
      const keycache::MintedDek minted,
      keycache::MintDek(vault_, key, record.tenant(), uid, 1, random_, clock_, call.deadline()));
  CMK_ASSIGN_OR_RETURN(const crypto::SealKey seal, minted.dek.MakeSealKey());
  storage::v1::HubBody body;
  body.set_display_name(request.hub().display_name());
  record.set_sealed_body(std::string(
      crypto::Seal(seal, HubBinding(record, uid), 1, body.SerializeAsString(), random_).bytes()));

  // The keys first, then the name: a crash between leaves rows that nothing names, never a hub
  // without keys.
  store::WriteSet keys;
  keys.PutRecord(store::DekKey(1), ToRecord(minted.record).SerializeAsString());
  keys.Put(store::HubSecretsKey(),
           crypto::SealHubSecrets(seal, record.tenant(), uid, crypto::HubSecrets::Generate(random_),
                                  random_));
  CMK_RETURN_IF_ERROR(
      ApplyAndWait(engine_, store::HubPartition(record.shard(), uid), std::move(keys)));
  store::WriteSet named;
  named.RequireAbsent(catalog_key, AlreadyExists("hub"));
  named.PutRecord(catalog_key, record.SerializeAsString());
  CMK_RETURN_IF_ERROR(ApplyAndWait(engine_, store::CatalogPartition(), std::move(named)));
  Log(LogLevel::kInfo, "hub_created",
      {{"tenant", record.tenant()}, {"hub", record.hub()}, {"uid", uid.ToHex()}});
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, hubs_.directory().Find(parent.tenant, id));
  index_life_.provision(uid);
  v1::Hub hub = ToHub(*entry);
  hub.set_display_name(request.hub().display_name());
  return hub;
}

absl::StatusOr<v1::Hub> ManageHubs::Get(const AdmittedCall& call,
                                        const v1::GetHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, hubs_.Find(call, name));
  return ToHub(*entry);
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
  v1::ListHubsResponse response;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == page_size) {
      response.set_next_page_token(
          tokens_.Encode(call.caller(), question, entries[i - 1]->record.hub()));
      break;
    }
    const bool deleted = entries[i]->record.state() == storage::v1::HUB_STATE_DELETED;
    if (!deleted || request.show_deleted()) *response.add_hubs() = ToHub(*entries[i]);
  }
  return response;
}

absl::StatusOr<HubEntryPtr> ManageHubs::Change(
    const HubName& name, const std::function<absl::Status(storage::v1::HubRecord&)>& edit) {
  const std::string key = store::HubKey(name.tenant.value(), name.hub.value());
  CMK_ASSIGN_OR_RETURN(std::optional<std::string> row, engine_.Get(store::CatalogPartition(), key));
  if (!row.has_value()) return NotFound("hub");
  CMK_ASSIGN_OR_RETURN(storage::v1::HubRecord record,
                       store::ParseRecord<storage::v1::HubRecord>(*row));
  CMK_RETURN_IF_ERROR(edit(record));
  record.set_revision(record.revision() + 1);
  record.set_update_time_micros(absl::ToUnixMicros(clock_.WallNow()));
  store::WriteSet writes;
  writes.RequireBeginsWith(key, *row, EtagMismatch());
  writes.PutRecord(key, record.SerializeAsString());
  CMK_RETURN_IF_ERROR(ApplyAndWait(engine_, store::CatalogPartition(), std::move(writes)));
  hubs_.directory().ForgetHub(name.tenant, name.hub);
  return hubs_.directory().Find(name.tenant, name.hub);
}

absl::StatusOr<v1::Hub> ManageHubs::Delete(const AdmittedCall& /*call*/,
                                           const v1::DeleteHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  const absl::Duration retention =
      request.has_retention() ? ToAbsl(request.retention()) : kMinRetention;
  if (retention < kMinRetention || retention > kMaxRetention) {
    return FieldInvalid("retention", "must be 7 to 90 days");
  }
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
  return ToHub(*entry);
}

absl::StatusOr<v1::Hub> ManageHubs::Undelete(const AdmittedCall& /*call*/,
                                             const v1::UndeleteHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, Change(name, [&](storage::v1::HubRecord& record) {
                         if (record.state() != storage::v1::HUB_STATE_DELETED) {
                           return StateInvalid("the hub is not deleted");
                         }
                         record.set_state(storage::v1::HUB_STATE_ACTIVE);
                         record.clear_delete_time_micros();
                         record.clear_purge_time_micros();
                         return absl::OkStatus();
                       }));
  return ToHub(*entry);
}

}  // namespace cmkstore::service
