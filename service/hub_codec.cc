#include "service/hub_codec.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/ip_range.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMaxGrace = absl::Hours(24);
constexpr absl::Duration kDefaultGrace = absl::Hours(1);
constexpr int kMaxIpRanges = 64;

}  // namespace

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

absl::Status ReadOutageGrace(const v1::Hub& hub, storage::v1::HubRecord& record) {
  const absl::Duration grace = hub.has_outage_grace() ? ToAbsl(hub.outage_grace()) : kDefaultGrace;
  if (grace < absl::ZeroDuration() || grace > kMaxGrace) {
    return FieldInvalid("hub.outage_grace", "must be 0 to 24 h");
  }
  record.set_outage_grace_seconds(absl::ToInt64Seconds(grace));
  return absl::OkStatus();
}

absl::Status ReadIpRanges(const v1::Hub& hub, storage::v1::HubRecord& record) {
  if (hub.allowed_ip_ranges_size() > kMaxIpRanges) {
    return FieldInvalid("hub.allowed_ip_ranges", "must be at most 64");
  }
  for (int i = 0; i < hub.allowed_ip_ranges_size(); ++i) {
    CMK_RETURN_IF_ERROR(
        IpRange::Parse(absl::StrCat("hub.allowed_ip_ranges[", i, "]"), hub.allowed_ip_ranges(i))
            .status());
  }
  *record.mutable_allowed_ip_ranges() = hub.allowed_ip_ranges();
  return absl::OkStatus();
}

v1::Hub ToHub(const storage::v1::HubRecord& record, HubUid uid) {
  v1::Hub hub;
  hub.set_name(absl::StrCat("tenants/", record.tenant(), "/hubs/", record.hub()));
  hub.set_uid(uid.ToHex());
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
  *hub.mutable_allowed_ip_ranges() = record.allowed_ip_ranges();
  switch (record.state()) {
    case storage::v1::HUB_STATE_SUSPENDED: hub.set_state(v1::Hub::SUSPENDED); break;
    case storage::v1::HUB_STATE_DELETED: hub.set_state(v1::Hub::DELETED); break;
    case storage::v1::HUB_STATE_PURGED: hub.set_state(v1::Hub::PURGED); break;
    default: hub.set_state(v1::Hub::ACTIVE); break;
  }
  hub.mutable_managed_resources()->set_shard(record.shard());
  hub.mutable_managed_resources()->set_search_index(absl::StrCat(hub.name(), "/searchIndex"));
  *hub.mutable_create_time() = ToTimestamp(record.create_time_micros());
  *hub.mutable_update_time() = ToTimestamp(record.update_time_micros());
  if (record.delete_time_micros() != 0) {
    *hub.mutable_delete_time() = ToTimestamp(record.delete_time_micros());
    *hub.mutable_purge_time() = ToTimestamp(record.purge_time_micros());
  }
  if (record.has_purge()) {
    v1::PurgeReceipt& receipt = *hub.mutable_purge_receipt();
    *receipt.mutable_start_time() = ToTimestamp(record.purge().start_time_micros());
    if (record.purge().finish_time_micros() != 0) {
      *receipt.mutable_finish_time() = ToTimestamp(record.purge().finish_time_micros());
    }
    for (const std::string& dek : record.purge().dek_ids()) {
      receipt.add_destroyed_dek_ids(DekId::FromBytes(dek).value_or(DekId()).ToHex());
    }
  }
  hub.set_etag(HubEtag(record));
  return hub;
}

}  // namespace cmkstore::service
