#include "service/encryption_coverage.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "service/coverage_table.h"
#include "service/resource_name.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

v1::CoverageEntry::Protection ToProto(Protection protection) {
  switch (protection) {
    case Protection::kSealed: return v1::CoverageEntry::SEALED;
    case Protection::kWrapped: return v1::CoverageEntry::WRAPPED;
    case Protection::kBlinded: return v1::CoverageEntry::BLINDED;
    case Protection::kReadable: return v1::CoverageEntry::READABLE;
    case Protection::kNothingOfTheCustomer: return v1::CoverageEntry::NOTHING_OF_THE_CUSTOMER;
  }
  return v1::CoverageEntry::PROTECTION_UNSPECIFIED;
}

void AddKeys(const keycache::HubKeyRecords& records, v1::EncryptionCoverage& coverage) {
  for (const keycache::WrappedDekRecord& dek : records.deks) {
    v1::CoverageKey& key = *coverage.add_keys();
    key.set_generation(dek.facts.generation);
    key.set_dek_id(dek.facts.dek_id.ToHex());
    key.set_wrapped_by(dek.facts.kek_id);
    key.set_algorithm(dek.facts.algorithm);
    *key.mutable_create_time() = ToTimestamp(dek.facts.created_unix_micros);
    key.set_seals(&dek == &records.deks.back());
  }
}

void AddEntries(bool platform_managed, v1::EncryptionCoverage& coverage) {
  for (const CoverageClass& one : CoverageClasses()) {
    v1::CoverageEntry& entry = *coverage.add_entries();
    entry.set_id(std::string(one.id));
    entry.set_what(std::string(one.what));
    entry.set_where(std::string(one.where));
    entry.set_protection(ToProto(one.protection));
    entry.set_algorithm(std::string(one.algorithm));
    entry.set_key(one.key == CoverageKeyKind::kVaultKey && platform_managed
                      ? "the service's platform key"
                      : std::string(KeyText(one.key)));
    if (one.key != CoverageKeyKind::kNone) *entry.mutable_since_time() = coverage.hub_create_time();
  }
}

}  // namespace

absl::StatusOr<v1::EncryptionCoverage> EncryptionCoverageReport::Get(
    const AdmittedCall& call, const v1::GetEncryptionCoverageRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name,
                       HubName::ParseSingleton("name", request.name(), "encryptionCoverage"));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, hubs_.Find(call, name));
  v1::GetHubRequest of_hub;
  of_hub.set_name(name.ToString());
  CMK_ASSIGN_OR_RETURN(const v1::Hub hub, manage_hubs_.Get(call, of_hub));
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(entry->uid));
  v1::EncryptionCoverage coverage;
  coverage.set_name(request.name());
  coverage.set_hub_uid(hub.uid());
  coverage.set_display_name(hub.display_name());
  coverage.set_hub_state(hub.state());
  *coverage.mutable_hub_create_time() = hub.create_time();
  *coverage.mutable_encryption() = hub.encryption();
  AddKeys(records, coverage);
  AddEntries(hub.encryption().has_platform_managed(), coverage);
  for (const OutsideResource& one : OutsideResources()) {
    v1::ResourceOutsideCoverage& outside = *coverage.add_resources_outside();
    outside.set_resource(std::string(one.resource));
    outside.set_holds(std::string(one.holds));
    outside.set_key(std::string(one.key));
    outside.set_remedy(std::string(one.remedy));
  }
  *coverage.mutable_report_time() = ToTimestamp(clock_.WallNow());
  coverage.set_server_version(CMKSTORE_VERSION);
  return coverage;
}

}  // namespace cmkstore::service
