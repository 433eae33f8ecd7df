#include "service/hub_access.h"

#include <utility>

#include "base/errors.h"
#include "base/request_scope.h"
#include "crypto/envelope.h"
#include "service/awaiters.h"

namespace cmkstore::service {
namespace {

constexpr char kGenerationRefused[] = "generation_refused";  // a cause

absl::Status CheckServing(const HubEntry& hub) {
  switch (hub.record.state()) {
    case storage::v1::HUB_STATE_ACTIVE: return absl::OkStatus();
    case storage::v1::HUB_STATE_SUSPENDED:
      return StateInvalid("the hub is suspended by the operator");
    case storage::v1::HUB_STATE_DELETED:
      return StateInvalid("the hub is deleted; undelete it to use its content");
    default: return NotFound("hub");
  }
}

}  // namespace

bool IsRefusalOfGeneration(const absl::Status& status) {
  return CauseOf(status) == kGenerationRefused;
}

absl::StatusOr<HubEntryPtr> HubAccess::Find(const AdmittedCall& /*call*/, const HubName& name) {
  return directory_.Find(name.tenant, name.hub);
}

absl::StatusOr<ProjectUid> HubAccess::Project(const HubEntry& hub, const ProjectId& project) {
  return directory_.FindProject(hub, project);
}

Task<absl::StatusOr<OpenHub>> HubAccess::Open(const CallContext& context, const HubName& name) {
  CMK_CO_ASSIGN_OR_RETURN(HubEntryPtr entry, Find(context.admitted, name));
  CMK_CO_RETURN_IF_ERROR(CheckServing(*entry));
  const HubUid uid = entry->uid;
  CMK_CO_ASSIGN_OR_RETURN(keycache::HubKeysPtr keys, keys_.Lookup(uid));
  if (keys == nullptr) {
    const absl::Time deadline = context.admitted.deadline();
    auto fetch = AwaitCompletion<keycache::HubKeysPtr>(
        context.executor, [this, &context, uid, deadline](Completion<keycache::HubKeysPtr> done) {
          const RequestScope scope(context.admitted.request_id());
          keys_.Fetch(uid, deadline, std::move(done));
        });
    absl::StatusOr<keycache::HubKeysPtr> fetched = co_await fetch;
    if (!fetched.ok()) co_return fetched.status();
    keys = std::move(*fetched);
  }
  co_return OpenHub{std::move(entry), std::move(keys)};
}

absl::StatusOr<OpenHub> HubAccess::OpenBlocking(const AdmittedCall& call, const HubName& name) {
  CMK_ASSIGN_OR_RETURN(HubEntryPtr entry, Find(call, name));
  return OpenEntryBlocking(std::move(entry), call.deadline());
}

absl::StatusOr<OpenHub> HubAccess::OpenEntryBlocking(HubEntryPtr entry, absl::Time deadline) {
  CMK_RETURN_IF_ERROR(CheckServing(*entry));
  CMK_ASSIGN_OR_RETURN(
      keycache::HubKeysPtr keys,
      BlockOnCompletion<keycache::HubKeysPtr>([&](Completion<keycache::HubKeysPtr> done) {
        keys_.Fetch(entry->uid, deadline, std::move(done));
      }));
  return OpenHub{std::move(entry), std::move(keys)};
}

void HubAccess::CountWraps(HubUid hub, int64_t wraps) {
  const absl::StatusOr<HubEntryPtr> entry = directory_.FindByUid(hub);
  if (!entry.ok() || (*entry)->record.platform_managed()) return;
  (*entry)->usage->Count(store::UsageCounter::kWraps, wraps);
  (*entry)->usage->Count(store::UsageCounter::kUnwraps, wraps);
}

void HubAccess::CountUnwrap(HubUid hub) {
  const absl::StatusOr<HubEntryPtr> entry = directory_.FindByUid(hub);
  if (!entry.ok() || (*entry)->record.platform_managed()) return;
  (*entry)->usage->Count(store::UsageCounter::kUnwraps);
}

void HubAccess::Warm(const HubEntry& entry, absl::Time deadline) {
  if (!CheckServing(entry).ok()) return;
  const absl::StatusOr<keycache::HubKeysPtr> cached = keys_.Lookup(entry.uid);
  if (!cached.ok() || *cached != nullptr) return;
  (void)BlockOnCompletion<keycache::HubKeysPtr>([&](Completion<keycache::HubKeysPtr> done) {
    keys_.Fetch(entry.uid, deadline, std::move(done));
  });
}

Task<absl::StatusOr<std::string>> HubAccess::OpenRow(const CallContext& context, const OpenHub& hub,
                                                     const crypto::Binding& binding,
                                                     const crypto::SealedDocument& sealed) {
  const DekId dek = sealed.dek_id();
  if (dek == hub.keys->open.dek_id()) {
    co_return crypto::Open(hub.keys->open, binding, sealed);
  }
  const HubUid uid = hub.uid();
  CMK_CO_ASSIGN_OR_RETURN(keycache::OpenKeyPtr key, keys_.LookupOpenKey(uid, dek));
  if (key == nullptr) {
    const absl::Time deadline = context.admitted.deadline();
    auto fetch = AwaitCompletion<keycache::OpenKeyPtr>(
        context.executor,
        [this, &context, uid, dek, deadline](Completion<keycache::OpenKeyPtr> done) {
          const RequestScope scope(context.admitted.request_id());
          keys_.FetchOpenKey(uid, dek, deadline, std::move(done));
        });
    absl::StatusOr<keycache::OpenKeyPtr> fetched = co_await fetch;
    if (!fetched.ok()) co_return fetched.status();
    key = std::move(*fetched);
  }
  co_return crypto::Open(*key, binding, sealed);
}

absl::StatusOr<std::string> HubAccess::OpenRowBlocking(const keycache::HubKeys& keys,
                                                       absl::Time deadline,
                                                       const crypto::Binding& binding,
                                                       const crypto::SealedDocument& sealed) {
  const DekId dek = sealed.dek_id();
  if (dek == keys.open.dek_id()) return crypto::Open(keys.open, binding, sealed);
  const absl::StatusOr<keycache::OpenKeyPtr> key =
      BlockOnCompletion<keycache::OpenKeyPtr>([&](Completion<keycache::OpenKeyPtr> done) {
        keys_.FetchOpenKey(keys.hub, dek, deadline, std::move(done));
      });
  if (!key.ok()) return RefusalOf(keys.hub, dek, key.status());
  return crypto::Open(**key, binding, sealed);
}

// Who goes on without the rows of a generation needs the vault's confirmed word: one refusal may be
// a slip, or the first sign that the whole hub is about to be locked.
absl::Status HubAccess::RefusalOf(HubUid hub, DekId generation, absl::Status refusal) {
  if (!HasReason(refusal, "CUSTOMER_KEY_REVOKED")) return refusal;
  const absl::StatusOr<keycache::HubKeysPtr> newest = keys_.Lookup(hub);
  if (!newest.ok() || *newest == nullptr) return refusal;
  const keycache::HubKeyStatus known = keys_.Status(hub);
  const auto older = known.older.find(generation);
  if (older == known.older.end() || !older->second.confirmed) return StoreBusy();
  return WithCause(std::move(refusal), kGenerationRefused);
}

}  // namespace cmkstore::service
