#pragma once

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/worker.h"
#include "cmkstore/v1/hub_service.pb.h"
#include "crypto/random.h"
#include "service/hub_access.h"
#include "service/hub_key_changes.h"
#include "service/key_checks.h"
#include "service/lock_receipts.h"
#include "service/page_token.h"
#include "store/engine.h"
#include "vault/key_vault.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {

// What becomes of a hub's search index along with it.
struct IndexLife {
  std::function<void(HubUid)> provision;
  std::function<void(HubUid)> close;
};

// HubService: the life of hubs. Blocking: for control threads. Thread-safe.
class ManageHubs {
 public:
  ManageHubs(HubAccess& hubs, store::Engine& engine, vault::KeyVault& vault, KeyChecks& checks,
             HubKeyChanges& key_changes, LockReceipts& receipts, crypto::Random& random,
             Clock& clock, const PageTokens& tokens, IndexLife index_life)
      : hubs_(hubs),
        engine_(engine),
        vault_(vault),
        checks_(checks),
        key_changes_(key_changes),
        receipts_(receipts),
        random_(random),
        clock_(clock),
        tokens_(tokens),
        index_life_(std::move(index_life)) {}

  absl::StatusOr<v1::Hub> Create(const AdmittedCall& call, const v1::CreateHubRequest& request);
  absl::StatusOr<v1::Hub> Get(const AdmittedCall& call, const v1::GetHubRequest& request);
  absl::StatusOr<v1::ListHubsResponse> List(const AdmittedCall& call,
                                            const v1::ListHubsRequest& request);
  absl::StatusOr<v1::Hub> Update(const AdmittedCall& call, const v1::UpdateHubRequest& request);
  absl::StatusOr<v1::Hub> Delete(const AdmittedCall& call, const v1::DeleteHubRequest& request);
  absl::StatusOr<v1::Hub> Undelete(const AdmittedCall& call, const v1::UndeleteHubRequest& request);

  // Changes a hub's record in the catalog; edits it anew if somebody else did meanwhile.
  absl::StatusOr<HubEntryPtr> Change(
      const HubName& name, const std::function<absl::Status(storage::v1::HubRecord&)>& edit);
  // The same for a hub that may be purged.
  absl::StatusOr<HubEntryPtr> ChangeAny(
      const HubName& name, const std::function<absl::Status(storage::v1::HubRecord&)>& edit);
  // As Change, with what else of the catalog the commit is to write.
  using EditAndWrite = std::function<absl::Status(storage::v1::HubRecord&, store::WriteSet&)>;
  absl::StatusOr<HubEntryPtr> ChangeWith(const HubName& name, const EditAndWrite& edit);

  // Has hubs name their new key where the store refused Update just that, behind the rewrapped DEKs
  // (KL-13). To be called about every 100 ms by one thread; works in the background.
  void Tick();
  void Stop() { finisher_.Stop(); }

 private:
  absl::StatusOr<HubEntryPtr> Commit(const HubName& name, const EditAndWrite& edit);
  // The answer if there is a hub of this id: the hub, if this very call made it, or a refusal.
  std::optional<absl::StatusOr<v1::Hub>> FirstAnswer(const TenantId& tenant, const HubId& id,
                                                     const v1::CreateHubRequest& request);
  // Of a hub that turns out to have no keys. Always an error.
  absl::Status TakeBackName(const storage::v1::HubRecord& record, const HubName& name, HubUid uid);
  // A commit that changes nothing: whether the catalog takes any.
  absl::Status TryCatalog(const storage::v1::HubRecord& record);
  absl::Status FinishKeyChange(HubUid uid);
  // With what the state of its key lets it show.
  v1::Hub ToHubNow(const HubEntry& entry);
  // Asks no vault after `deadline` for an older key that the name is sealed with.
  v1::Hub ToHubBy(const HubEntry& entry, absl::Time deadline);

  HubAccess& hubs_;
  store::Engine& engine_;
  vault::KeyVault& vault_;
  KeyChecks& checks_;
  HubKeyChanges& key_changes_;
  LockReceipts& receipts_;
  crypto::Random& random_;
  Clock& clock_;
  const PageTokens& tokens_;
  const IndexLife index_life_;
  absl::Mutex mutex_;
  // Hubs whose DEKs are under a key that their records do not name.
  std::set<HubUid> unfinished_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_finish_ = absl::InfinitePast();  // the ticking thread's
  Worker finisher_{{.name = "key-changes", .threads = 1, .max_queued = 1}};
};

}  // namespace cmkstore::service
