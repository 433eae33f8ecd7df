#include "service/manage_keys.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/hub_key_changes.h"
#include "service/hub_key_source.h"
#include "service/timestamps.h"
#include "service/vault_usage.h"

namespace cmkstore::service {
namespace {

constexpr char kRotateDek[] = "rotate-dek";  // on disk
constexpr absl::Duration kRotationTimeout = absl::Seconds(30);

v1::KeyStatus::Availability ToProto(keycache::KeyAvailability availability) {
  switch (availability) {
    case keycache::KeyAvailability::kUnknown: return v1::KeyStatus::NOT_YET_USED;
    case keycache::KeyAvailability::kAvailable: return v1::KeyStatus::AVAILABLE;
    case keycache::KeyAvailability::kUnreachable: return v1::KeyStatus::UNREACHABLE;
    case keycache::KeyAvailability::kDenied: return v1::KeyStatus::DENIED;
    case keycache::KeyAvailability::kLockedByPush: return v1::KeyStatus::LOCKED_BY_PUSH;
  }
  return v1::KeyStatus::AVAILABILITY_UNSPECIFIED;
}

bool IsFinite(absl::Time time) {
  return time != absl::InfinitePast() && time != absl::InfiniteFuture();
}

}  // namespace

ManageKeys::ManageKeys(HubAccess& hubs, ManageHubs& manage_hubs, KeyChecks& checks,
                       HubKeyChanges& key_changes, Operations& operations,
                       keycache::WrappedDekSource& source, LockReceipts& receipts,
                       vault::VaultMeter& meter, Clock& clock)
    : hubs_(hubs),
      manage_hubs_(manage_hubs),
      checks_(checks),
      key_changes_(key_changes),
      operations_(operations),
      source_(source),
      receipts_(receipts),
      meter_(meter),
      clock_(clock) {
  operations_.AddKind(kRotateDek, [this](OperationRun& run) { return RunRotation(run); });
}

void ManageKeys::AddReceipt(const storage::v1::LockRecord& last, v1::KeyStatus& status) {
  v1::RevocationReceipt& receipt = *status.mutable_last_receipt();
  *receipt.mutable_detect_time() = ToTimestamp(last.detect_time_micros());
  if (last.lock_time_micros() != 0) {
    *receipt.mutable_lock_time() = ToTimestamp(last.lock_time_micros());
  }
  if (last.last_success_time_micros() != 0) {
    *receipt.mutable_last_success_time() = ToTimestamp(last.last_success_time_micros());
  }
  receipt.set_keys_wiped(last.keys_wiped());
  receipt.set_index_closed(last.index_closed());
  receipt.set_by_push(last.by_push());
  receipt.set_cause(last.cause());
}

// What the cache of this process knows of the key, with what was known before a restart.
keycache::HubKeyStatus ManageKeys::KnownOf(const HubEntry& hub) {
  keycache::HubKeyStatus known = hubs_.key_cache().Status(hub.uid);
  if (hub.record.locked_by_push()) {
    known.availability = keycache::KeyAvailability::kLockedByPush;
    if (hub.record.push_lock_time_micros() != 0) {
      known.state_since = absl::FromUnixMicros(hub.record.push_lock_time_micros());
    }
    return known;
  }
  // Until the vault hands the key out, its last word before a restart counts (KL-12).
  if (known.availability == keycache::KeyAvailability::kAvailable) return known;
  const auto denial = receipts_.StandingDenial(hub.uid);
  if (!denial.has_value()) return known;
  if (known.availability != keycache::KeyAvailability::kDenied) known.cause = denial->cause();
  known.availability = keycache::KeyAvailability::kDenied;
  known.refuse_after = absl::InfiniteFuture();
  known.state_since = absl::FromUnixMicros(denial->lock_time_micros());
  if (!IsFinite(known.last_success) && denial->last_success_time_micros() != 0) {
    known.last_success = absl::FromUnixMicros(denial->last_success_time_micros());
  }
  return known;
}

absl::StatusOr<v1::KeyStatus> ManageKeys::StatusOf(const HubEntry& hub) {
  const keycache::HubKeyStatus known = KnownOf(hub);
  v1::KeyStatus status;
  status.set_name(
      absl::StrCat("tenants/", hub.record.tenant(), "/hubs/", hub.record.hub(), "/key"));
  status.set_availability(ToProto(known.availability));
  status.set_cause(known.cause);
  if (hub.record.platform_managed()) {
    status.mutable_encryption()->mutable_platform_managed();
  } else {
    v1::CustomerManagedKey& key = *status.mutable_encryption()->mutable_customer_managed();
    key.set_vault_uri(hub.record.customer_key().vault_uri());
    key.set_key_name(hub.record.customer_key().key_name());
    key.set_key_version(hub.record.customer_key().key_version());
    key.set_identity(hub.record.customer_key().identity());
  }
  if (IsFinite(known.last_success)) {
    *status.mutable_last_success_time() = ToTimestamp(known.last_success);
  }
  if (IsFinite(known.state_since)) {
    *status.mutable_state_since_time() = ToTimestamp(known.state_since);
  }
  if (IsFinite(known.refuse_after)) {
    *status.mutable_refuse_after_time() = ToTimestamp(known.refuse_after);
  }
  if (status.availability() == v1::KeyStatus::UNREACHABLE) {
    AddOutage(meter_.Trouble(hub.record.customer_key().vault_uri()), status);
  }
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub.uid));
  for (const keycache::WrappedDekRecord& dek : records.deks) {
    const bool seals = &dek == &records.deks.back();
    v1::DekGeneration& generation = *status.add_generations();
    generation = ToGeneration(dek, seals);
    const auto older = known.older.find(dek.facts.dek_id);
    if (seals || dek.facts.kek_id == records.deks.back().facts.kek_id) {
      generation.set_availability(status.availability());
      generation.set_cause(status.cause());
    } else if (older != known.older.end()) {
      generation.set_availability(ToProto(older->second.availability));
      generation.set_cause(older->second.cause);
    } else {
      generation.set_availability(v1::KeyStatus::NOT_YET_USED);
    }
  }
  if (const auto last = receipts_.Last(hub.uid)) AddReceipt(*last, status);
  return status;
}

absl::StatusOr<v1::KeyStatus> ManageKeys::GetStatus(const AdmittedCall& call,
                                                    const v1::GetKeyStatusRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::ParseSingleton("name", request.name(), "key"));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, hubs_.Find(call, name));
  return StatusOf(*hub);
}

absl::StatusOr<v1::CheckKeyResponse> ManageKeys::Check(const AdmittedCall& call,
                                                       const v1::CheckKeyRequest& request) {
  if (const auto name = HubName::Parse("parent", request.parent()); name.ok()) {
    CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, hubs_.Find(call, *name));
    if (hub->record.platform_managed()) return checks_.RunPlatform(call.deadline());
    vault::KeyRef key = KeyRefOf(hub->record);
    // Another identity may be tried before the hub is given it.
    if (!request.key().identity().empty()) key.identity = request.key().identity();
    CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub->uid));
    std::set<std::string> versions;
    std::vector<vault::WrappedKey> stored;
    for (const keycache::WrappedDekRecord& dek : records.deks) {
      if (versions.insert(dek.wrapped.version_id).second) stored.push_back(dek.wrapped);
    }
    return checks_.Run(hub->record.tenant(), key, stored, call.deadline());
  }
  CMK_ASSIGN_OR_RETURN(const TenantName parent, TenantName::Parse("parent", request.parent()));
  const v1::CustomerManagedKey& key = request.key();
  return checks_.Run(parent.tenant.value(),
                     {key.vault_uri(), key.key_name(), key.key_version(), key.identity()}, {},
                     call.deadline());
}

absl::StatusOr<google::longrunning::Operation> ManageKeys::Rotate(
    const AdmittedCall& call, const v1::RotateDekRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  // Refused at once where the operation would be.
  CMK_ASSIGN_OR_RETURN(const OpenHub hub, hubs_.OpenBlocking(call, name));
  CMK_ASSIGN_OR_RETURN(const uint32_t generation, key_changes_.NextGeneration(hub.uid()));
  return operations_.Start(*hub.entry, kRotateDek, absl::StrCat(generation));
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ManageKeys::RunRotation(
    OperationRun& run) {
  uint32_t generation = 0;
  if (!absl::SimpleAtoi(run.argument(), &generation)) {
    return InvariantBroken("a rotation's argument is no number");
  }
  auto result = std::make_unique<v1::RotateDekResult>();
  CMK_ASSIGN_OR_RETURN(
      *result->mutable_generation(),
      key_changes_.Rotate(*run.hub(), generation, clock_.WallNow() + kRotationTimeout));
  return result;
}

absl::StatusOr<v1::KeyStatus> ManageKeys::Lock(const AdmittedCall& call,
                                               const v1::LockHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr before, hubs_.Find(call, name));
  const absl::Time now = clock_.WallNow();
  std::optional<storage::v1::LockRecord> receipt;
  // Before the store is asked: no disk that hangs, or that another tenant has filled, keeps a hub
  // from going dark.
  hubs_.key_cache().Lock(before->uid);
  const absl::StatusOr<HubEntryPtr> hub =
      manage_hubs_.ChangeWith(name, [&](storage::v1::HubRecord& record, store::WriteSet& writes) {
        receipt.reset();
        if (record.locked_by_push()) return absl::OkStatus();
        record.set_locked_by_push(true);
        record.set_push_lock_time_micros(absl::ToUnixMicros(now));
        receipt = receipts_.AddPushLock(HubDirectory::MakeEntry(record)->uid, now, writes);
        return absl::OkStatus();
      });
  if (receipt.has_value() && hub.ok()) receipts_.Settle((*hub)->uid, *receipt);
  if (hub.ok()) {
    hubs_.key_cache().Lock((*hub)->uid, (*hub)->record.revision());
    return StatusOf(**hub);
  }
  hubs_.key_cache().Lock(before->uid);
  return Annotate(hub.status(),
                  "the hub is locked, but until this call succeeds only until the "
                  "server's next start: repeat it");
}

absl::StatusOr<v1::KeyStatus> ManageKeys::Unlock(const AdmittedCall& /*call*/,
                                                 const v1::UnlockHubRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
  const absl::Time now = clock_.WallNow();
  std::optional<storage::v1::LockRecord> receipt;
  CMK_ASSIGN_OR_RETURN(
      const HubEntryPtr hub,
      manage_hubs_.ChangeWith(name, [&](storage::v1::HubRecord& record, store::WriteSet& writes) {
        record.set_locked_by_push(false);
        record.clear_push_lock_time_micros();
        receipt = receipts_.AddPushUnlock(HubDirectory::MakeEntry(record)->uid, now, writes);
        return absl::OkStatus();
      }));
  if (receipt.has_value()) receipts_.Settle(hub->uid, *receipt);
  hubs_.key_cache().Unlock(hub->uid, hub->record.revision());
  return StatusOf(*hub);
}

}  // namespace cmkstore::service
