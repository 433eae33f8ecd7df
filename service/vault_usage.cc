#include "service/vault_usage.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/resource_name.h"
#include "service/timestamps.h"
#include "vault/call_budget.h"

namespace cmkstore::service {
namespace {

constexpr size_t kHubsAtOnce = 1000;

// The hubs of one tenant on one vault.
struct VaultHubs {
  uint32_t hubs = 0;
  std::set<std::string> keys;
  double limit = std::numeric_limits<double>::infinity();
};

v1::VaultOutage::Side ToProto(vault::TroubleSide side) {
  switch (side) {
    case vault::TroubleSide::kThisVault: return v1::VaultOutage::THIS_VAULT;
    case vault::TroubleSide::kVaultService: return v1::VaultOutage::VAULT_SERVICE;
    case vault::TroubleSide::kOurNetwork: return v1::VaultOutage::OUR_NETWORK;
    case vault::TroubleSide::kOurLogin: return v1::VaultOutage::OUR_LOGIN;
    case vault::TroubleSide::kNone:
    case vault::TroubleSide::kUnknown: return v1::VaultOutage::SIDE_UNSPECIFIED;
  }
  return v1::VaultOutage::SIDE_UNSPECIFIED;
}

void AddUsage(const vault::VaultUsage& counted, v1::VaultUsage& usage) {
  if (counted.since != absl::InfiniteFuture()) {
    *usage.mutable_since_time() = ToTimestamp(counted.since);
  }
  usage.set_describes(counted.describes);
  usage.set_wraps(counted.wraps);
  usage.set_unwraps(counted.unwraps);
  usage.set_denials(counted.denials);
  usage.set_failures(counted.failures);
  usage.set_throttled(counted.throttled);
  usage.set_busiest_second(counted.busiest_second);
}

}  // namespace

absl::StatusOr<v1::GetVaultUsageResponse> VaultUsageReport::Get(
    const AdmittedCall& /*call*/, const v1::GetVaultUsageRequest& request) {
  CMK_ASSIGN_OR_RETURN(const TenantName parent, TenantName::Parse("parent", request.parent()));
  CMK_ASSIGN_OR_RETURN(std::vector<HubEntryPtr> hubs,
                       hubs_.directory().List(parent.tenant, "", kHubsAtOnce));
  for (size_t page = hubs.size(); page == kHubsAtOnce;) {
    CMK_ASSIGN_OR_RETURN(
        const std::vector<HubEntryPtr> more,
        hubs_.directory().List(parent.tenant, hubs.back()->record.hub(), kHubsAtOnce));
    hubs.insert(hubs.end(), more.begin(), more.end());
    page = more.size();
  }
  std::map<std::string, VaultHubs> vaults;
  for (const HubEntryPtr& hub : hubs) {
    if (hub->record.platform_managed() || hub->record.state() == storage::v1::HUB_STATE_PURGED) {
      continue;
    }
    hubs_.directory().Remember(*hub);  // the source knows a hub by its uid
    const absl::StatusOr<keycache::HubKeyRecords> records = source_.Load(hub->uid);
    if (HasReason(records.status(), "HUB_NOT_FOUND")) continue;  // purged meanwhile
    if (absl::IsUnavailable(records.status())) return records.status();
    if (!records.ok()) {  // a damaged hub fails its own calls, and not what is asked of all
      Log(LogLevel::kError, "hub_keys_unreadable",
          {{"hub", hub->Name()}, {"reason", ReasonOf(records.status())}});
      continue;
    }
    VaultHubs& one = vaults[hub->record.customer_key().vault_uri()];
    ++one.hubs;
    one.keys.insert(hub->record.customer_key().key_name());
    const vault::WrappedKey& wrapped = records->deks.back().wrapped;
    one.limit =
        std::min(one.limit, vault::CallsPerSecond(wrapped.algorithm, wrapped.ciphertext.size()));
  }
  v1::GetVaultUsageResponse response;
  for (const auto& [uri, one] : vaults) {
    v1::VaultUsage& usage = *response.add_vaults();
    usage.set_vault_uri(uri);
    usage.set_hubs(one.hubs);
    usage.set_keys(static_cast<uint32_t>(one.keys.size()));
    usage.set_calls_per_second_limit(one.limit);
    *usage.mutable_read_time() = ToTimestamp(clock_.WallNow());
    AddUsage(meter_.Usage(uri), usage);
  }
  return response;
}

void AddOutage(const vault::VaultTrouble& trouble, v1::KeyStatus& status) {
  if (trouble.side == vault::TroubleSide::kNone) return;
  v1::VaultOutage& outage = *status.mutable_outage();
  outage.set_cause(trouble.cause);
  outage.set_side(ToProto(trouble.side));
  *outage.mutable_since_time() = ToTimestamp(trouble.since);
  outage.set_other_vaults_answering(trouble.others_answering);
  outage.set_other_vaults_failing(trouble.others_failing);
  outage.set_other_vaults_erring(trouble.others_erring);
}

}  // namespace cmkstore::service
