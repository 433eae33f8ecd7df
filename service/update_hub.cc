// HubService.UpdateHub: the only one of ManageHubs that may call the vault for a hub that exists.

#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/envelope.h"
#include "service/apply_blocking.h"
#include "service/hub_codec.h"
#include "service/hub_key_source.h"
#include "service/key_change_recovery.h"
#include "service/limits.h"
#include "service/manage_hubs.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr absl::string_view kKey = "encryption.customer_managed";
constexpr absl::Duration kPause = absl::Milliseconds(100);  // before the store is asked again
constexpr absl::Duration kFinishEvery = absl::Seconds(1);

// What of the key may change: everything but the vault.
absl::Status CheckSameVault(const storage::v1::HubRecord& record, const v1::Encryption& wanted) {
  if (record.platform_managed() == wanted.has_customer_managed()) return KeyKindImmutable();
  const std::string& vault = wanted.customer_managed().vault_uri();
  if (!vault.empty() && vault != record.customer_key().vault_uri()) {
    return VaultChangeRefused("a hub's key may change only within its vault");
  }
  return absl::OkStatus();
}

void ReadKey(const v1::CustomerManagedKey& wanted, const std::set<std::string>& mask,
             storage::v1::CustomerKey& key) {
  const auto named = [&](absl::string_view field) {
    return mask.contains(std::string(kKey)) || mask.contains("encryption") ||
           mask.contains(absl::StrCat(kKey, ".", field));
  };
  if (named("key_name")) key.set_key_name(wanted.key_name());
  if (named("key_version")) key.set_key_version(wanted.key_version());
  if (named("identity")) key.set_identity(wanted.identity());
}

// What the mask names, and nothing else, as it is in `changed`.
void CopyNamed(const std::set<std::string>& mask, const storage::v1::HubRecord& changed,
               storage::v1::HubRecord& record) {
  if (mask.contains("display_name")) record.set_sealed_body(changed.sealed_body());
  if (mask.contains("outage_grace")) {
    record.set_outage_grace_seconds(changed.outage_grace_seconds());
  }
  if (mask.contains("allowed_ip_ranges")) {
    *record.mutable_allowed_ip_ranges() = changed.allowed_ip_ranges();
  }
  if (changed.has_customer_key()) *record.mutable_customer_key() = changed.customer_key();
}

absl::StatusOr<std::set<std::string>> ReadMask(const google::protobuf::FieldMask& mask) {
  static const auto* const kFields = new std::set<std::string>{"display_name",
                                                               "outage_grace",
                                                               "allowed_ip_ranges",
                                                               "encryption",
                                                               std::string(kKey),
                                                               absl::StrCat(kKey, ".key_name"),
                                                               absl::StrCat(kKey, ".key_version"),
                                                               absl::StrCat(kKey, ".identity"),
                                                               absl::StrCat(kKey, ".vault_uri")};
  std::set<std::string> fields(mask.paths().begin(), mask.paths().end());
  if (fields.empty()) return FieldInvalid("update_mask", "must name at least one field");
  for (const std::string& field : fields) {
    if (!kFields->contains(field)) {
      return FieldInvalid("update_mask",
                          "may name display_name, outage_grace, allowed_ip_ranges and "
                          "encryption.customer_managed with its key_name, key_version, identity");
    }
  }
  return fields;
}

}  // namespace

absl::StatusOr<v1::Hub> ManageHubs::Update(const AdmittedCall& call,
                                           const v1::UpdateHubRequest& request) {
  const v1::Hub& wanted = request.hub();
  CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("hub.name", wanted.name()));
  CMK_ASSIGN_OR_RETURN(const std::set<std::string> mask, ReadMask(request.update_mask()));
  CMK_RETURN_IF_ERROR(CheckDisplayName("hub.display_name", wanted.display_name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr before, hubs_.Find(call, name));
  if (!wanted.etag().empty() && wanted.etag() != HubEtag(before->record)) return EtagMismatch();
  if (before->record.state() == storage::v1::HUB_STATE_DELETED) {
    return StateInvalid("the hub is deleted; undelete it to change it");
  }

  storage::v1::HubRecord changed = before->record;
  if (mask.contains("outage_grace")) CMK_RETURN_IF_ERROR(ReadOutageGrace(wanted, changed));
  if (mask.contains("allowed_ip_ranges")) CMK_RETURN_IF_ERROR(ReadIpRanges(wanted, changed));
  if (mask.contains("display_name")) {
    CMK_ASSIGN_OR_RETURN(const OpenHub open, hubs_.OpenBlocking(call, name));
    storage::v1::HubBody body;
    body.set_display_name(wanted.display_name());
    CMK_ASSIGN_OR_RETURN(crypto::SealedDocument sealed,
                         crypto::Seal(open.keys->seal, HubBinding(changed, before->uid),
                                      changed.revision() + 1, body.SerializeAsString(), random_));
    changed.set_sealed_body(std::move(sealed).Release());
  }
  const bool names_key = mask.lower_bound("encryption") != mask.end() &&
                         absl::StartsWith(*mask.lower_bound("encryption"), "encryption");
  if (names_key) {
    CMK_RETURN_IF_ERROR(CheckSameVault(before->record, wanted.encryption()));
    if (wanted.encryption().has_customer_managed()) {
      ReadKey(wanted.encryption().customer_managed(), mask, *changed.mutable_customer_key());
    }
  }
  // A change that the store cut off may have left the DEKs under a key that the record does not
  // name yet: who names the former one wants it back.
  CMK_ASSIGN_OR_RETURN(const auto kept, store::KeyChangeTable(engine_).Get(before->partition));
  const bool unfinished = kept.has_value() && KeyRefOf(*kept) != KeyRefOf(before->record);
  const bool key_changed =
      KeyRefOf(changed) != KeyRefOf(before->record) || (names_key && unfinished);
  if (key_changed) {
    CMK_ASSIGN_OR_RETURN(*changed.mutable_customer_key()->mutable_directory(),
                         checks_.Require(changed.tenant(), KeyRefOf(changed), call.deadline()));
  }
  const vault::KeyRef key = KeyRefOf(changed);
  if (request.validate_only()) return ToHubNow(*HubDirectory::MakeEntry(changed));
  std::unique_ptr<HubKeyChanges::Turn> turn;
  if (key_changed) {
    CMK_ASSIGN_OR_RETURN(turn, key_changes_.TakeTurn(before->uid, call.deadline()));
    CMK_ASSIGN_OR_RETURN(const HubEntryPtr now, hubs_.Find(call, name));
    if (now->record.revision() != before->record.revision()) return EtagMismatch();
    CMK_RETURN_IF_ERROR(TryCatalog(now->record));
    // The DEKs first: they name the version that wraps them, so a crash between leaves a hub that
    // opens, and the next start makes it name its key (key_change_recovery.h).
    CMK_RETURN_IF_ERROR(key_changes_.Rewrap(*turn, *before, key, call.deadline()));
  }
  const auto edit = [&](storage::v1::HubRecord& record) {
    // Once the DEKs are under the new key the record must name it, whatever else of the hub has
    // been changed meanwhile: who withdraws a key withdraws the one that is named.
    if (!key_changed && record.revision() != before->record.revision()) return EtagMismatch();
    CopyNamed(mask, changed, record);
    return absl::OkStatus();
  };
  absl::StatusOr<HubEntryPtr> committed = Change(name, edit);
  while (key_changed && IsRefusedForNow(committed.status()) &&
         clock_.WallNow() + kPause < call.deadline()) {
    clock_.Sleep(kPause);
    committed = Change(name, edit);
  }
  if (key_changed && !committed.ok()) {
    absl::MutexLock lock(&mutex_);
    unfinished_.insert(before->uid);
    return Annotate(committed.status(),
                    "the hub's keys are under the new key, which its record will name as soon as "
                    "the store takes it");
  }
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr after, std::move(committed));
  // What the store does not take away says what the record says, and goes at the next start.
  if (key_changed) EndKeyChange(engine_, after->partition).IgnoreError();
  turn.reset();
  if (key_changed) receipts_.End(after->uid);
  // While the keys that show its name are at hand. Only another key may cost the cached ones: who
  // renames a hub while its vault is silent must not lose it.
  v1::Hub answer = ToHubNow(*after);
  if (key_changed) {
    hubs_.key_cache().Forget(after->uid);
    key_changes_.BringKeys(after->uid, call.deadline());
  }
  hubs_.key_cache().SetOutageGrace(after->uid, absl::Seconds(after->record.outage_grace_seconds()),
                                   after->record.revision());
  Log(LogLevel::kInfo, "hub_updated",
      {{"hub_uid", after->uid.ToHex()},
       {"hub", after->Name()},
       {"key_changed", key_changed ? "true" : "false"}});
  return answer;
}

absl::Status ManageHubs::TryCatalog(const storage::v1::HubRecord& record) {
  store::WriteSet same;
  store::HubsTable::RequireUnchanged(same, record.tenant(), record.hub(), record, EtagMismatch());
  store::HubsTable::Put(same, record.tenant(), record.hub(), record);
  return ApplyBlocking(engine_, store::CatalogPartition(), std::move(same)).status();
}

void ManageHubs::Tick() {
  const absl::Time now = clock_.MonotonicNow();
  std::set<HubUid> unfinished;
  {
    absl::MutexLock lock(&mutex_);
    if (unfinished_.empty() || now < next_finish_) return;
    unfinished = unfinished_;
  }
  next_finish_ = now + kFinishEvery;
  // Not taken while the last attempt still runs.
  (void)finisher_.TryRun([this, unfinished = std::move(unfinished)] {
    for (const HubUid uid : unfinished) FinishKeyChange(uid).IgnoreError();
  });
}

absl::Status ManageHubs::FinishKeyChange(HubUid uid) {
  CMK_ASSIGN_OR_RETURN(const auto turn,
                       key_changes_.TakeTurn(uid, clock_.WallNow() + kFinishEvery));
  const absl::StatusOr<HubEntryPtr> hub = hubs_.directory().FindByUid(uid);
  storage::v1::HubRecord record;
  bool differs = false;
  if (hub.ok()) {
    record = (*hub)->record;
    CMK_ASSIGN_OR_RETURN(differs, NameKeyThatWraps(engine_, record));
  } else if (!HasReason(hub.status(), "HUB_NOT_FOUND")) {
    return hub.status();
  }
  if (differs) {
    const HubName name{*TenantId::Parse(record.tenant()), *HubId::Parse(record.hub())};
    CMK_RETURN_IF_ERROR(Change(name, [&](storage::v1::HubRecord& now) {
                          *now.mutable_customer_key() = record.customer_key();
                          return absl::OkStatus();
                        }).status());
    EndKeyChange(engine_, (*hub)->partition).IgnoreError();
    receipts_.End(uid);
    hubs_.key_cache().Forget(uid);
    Log(LogLevel::kWarning, "key_change_finished",
        {{"hub", (*hub)->Name()}, {"key_name", record.customer_key().key_name()}});
  }
  absl::MutexLock lock(&mutex_);
  unfinished_.erase(uid);
  return absl::OkStatus();
}

}  // namespace cmkstore::service
