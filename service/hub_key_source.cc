#include "service/hub_key_source.h"

#include "base/errors.h"
#include "base/status_macros.h"
#include "store/tables.h"
#include "vault/platform_key_vault.h"

namespace cmkstore::service {

vault::KeyRef KeyRefOf(const storage::v1::CustomerKey& key) {
  return {key.vault_uri(), key.key_name(), key.key_version(), key.identity(), key.directory()};
}

vault::KeyRef KeyRefOf(const storage::v1::HubRecord& hub) {
  if (hub.platform_managed()) return {vault::kPlatformVaultUri, "key", "", ""};
  return KeyRefOf(hub.customer_key());
}

storage::v1::CustomerKey ToRecord(const vault::KeyRef& key) {
  storage::v1::CustomerKey record;
  record.set_vault_uri(key.vault_uri);
  record.set_key_name(key.key_name);
  record.set_key_version(key.version);
  record.set_identity(key.identity);
  record.set_directory(key.directory);
  return record;
}

storage::v1::DekRecord ToRecord(const keycache::WrappedDekRecord& dek) {
  storage::v1::DekRecord record;
  record.set_dek_id(std::string(dek.facts.dek_id.bytes()));
  record.set_generation(dek.facts.generation);
  record.set_kek_id(dek.facts.kek_id);
  record.set_algorithm(dek.facts.algorithm);
  record.set_ciphertext(dek.wrapped.ciphertext);
  record.set_check(dek.check);
  record.set_created_unix_micros(dek.facts.created_unix_micros);
  return record;
}

absl::StatusOr<keycache::HubKeyRecords> HubKeySource::Load(HubUid uid) {
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, directory_.FindByUid(uid));
  keycache::HubKeyRecords records;
  records.tenant = hub->record.tenant();
  records.revision = hub->record.revision();
  records.key = KeyRefOf(hub->record);
  // DEKs that are under another key already are unwrapped as whom that one lets in.
  CMK_ASSIGN_OR_RETURN(const auto changed, store::KeyChangeTable(engine_).Get(hub->partition));
  if (changed.has_value()) records.key = KeyRefOf(*changed);
  records.outage_grace = absl::Seconds(hub->record.outage_grace_seconds());
  records.locked_by_push = hub->record.locked_by_push();
  records.locked_by_denial = receipts_.StandingDenial(uid).has_value();
  CMK_ASSIGN_OR_RETURN(const auto deks,
                       store::DeksTable(engine_).List(hub->partition, kMaxDekGenerations));
  for (const storage::v1::DekRecord& dek : deks) {
    keycache::WrappedDekRecord record;
    // Who it belongs to comes from the hub that was asked for, never from the row.
    record.facts.tenant = hub->record.tenant();
    record.facts.hub = uid;
    CMK_ASSIGN_OR_RETURN(record.facts.dek_id, DekId::FromBytes(dek.dek_id()));
    record.facts.generation = dek.generation();
    record.facts.kek_id = dek.kek_id();
    record.facts.algorithm = dek.algorithm();
    record.facts.created_unix_micros = dek.created_unix_micros();
    record.wrapped = {dek.kek_id(), dek.algorithm(), dek.ciphertext()};
    record.check = dek.check();
    records.deks.push_back(std::move(record));
  }
  CMK_ASSIGN_OR_RETURN(std::optional<crypto::SealedDocument> secrets,
                       store::HubSecretsTable(engine_).Get(hub->partition));
  if (!secrets.has_value() || records.deks.empty()) {
    return StoreCorrupt("a hub lacks its key records");
  }
  records.sealed_hub_secrets = (*std::move(secrets)).Release();
  return records;
}

}  // namespace cmkstore::service
