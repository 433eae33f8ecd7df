#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "crypto/binding.h"
#include "crypto/sealed_document.h"
#include "keycache/key_cache.h"
#include "service/hub_directory.h"
#include "service/request_gate.h"
#include "service/resource_name.h"
#include "service/rpc_method.h"
#include "service/task.h"

namespace cmkstore::service {

// A hub whose content may be used by this call: who it is and its keys. Held for one call.
struct OpenHub {
  HubEntryPtr entry;
  keycache::HubKeysPtr keys;

  const store::Partition& partition() const { return entry->partition; }
  HubUid uid() const { return entry->uid; }
};

// How long an answer that shows display names waits for the hub's keys, and, of a whole list, for
// older ones: a name that is not at hand by then is left out.
inline constexpr absl::Duration kNameTimeout = absl::Seconds(2);
inline constexpr absl::Duration kOlderKeyTimeout = absl::Seconds(5);

// Whether the vault refuses but the version of the key that wraps an older generation, while the
// hub is served: of OpenRowBlocking's errors.
bool IsRefusalOfGeneration(const absl::Status& status);

// The way of every content call from a hub's name to its keys: the record, its state, the key
// cache. The hot path takes two short locks and suspends nowhere.
//
// Thread-safe. Errors: HUB_NOT_FOUND, STATE_INVALID (deleted, suspended), and those of KeyCache.
class HubAccess {
 public:
  HubAccess(HubDirectory& directory, keycache::KeyCache& keys)
      : directory_(directory), keys_(keys) {}

  // For handlers on a queue's thread.
  Task<absl::StatusOr<OpenHub>> Open(const CallContext& context, const HubName& name);
  // For threads that may block.
  absl::StatusOr<OpenHub> OpenBlocking(const AdmittedCall& call, const HubName& name);
  absl::StatusOr<OpenHub> OpenEntryBlocking(HubEntryPtr entry, absl::Time deadline);
  // Tries to have the keys at hand, for an answer that shows more with them; gives up quietly.
  void Warm(const HubEntry& entry, absl::Time deadline);
  // The record alone: what goes on while the hub is locked.
  absl::StatusOr<HubEntryPtr> Find(const AdmittedCall& call, const HubName& name);
  // Errors: PROJECT_NOT_FOUND.
  absl::StatusOr<ProjectUid> Project(const HubEntry& hub, const ProjectId& project);

  // Opens a row of the hub, with the newest key or, if the row is older, with the key that sealed
  // it.
  Task<absl::StatusOr<std::string>> OpenRow(const CallContext& context, const OpenHub& hub,
                                            const crypto::Binding& binding,
                                            const crypto::SealedDocument& sealed);
  // Errors, besides: STORE_BUSY for a refusal of the older key that is not confirmed yet.
  absl::StatusOr<std::string> OpenRowBlocking(const keycache::HubKeys& keys, absl::Time deadline,
                                              const crypto::Binding& binding,
                                              const crypto::SealedDocument& sealed);

  // Key operations of the hub that did not go through the key cache: each wrap is tried by an
  // unwrap.
  void CountWraps(HubUid hub, int64_t wraps);
  // One that did.
  void CountUnwrap(HubUid hub);

  keycache::KeyCache& key_cache() { return keys_; }
  HubDirectory& directory() { return directory_; }

 private:
  absl::Status RefusalOf(HubUid hub, DekId generation, absl::Status refusal);

  HubDirectory& directory_;
  keycache::KeyCache& keys_;
};

}  // namespace cmkstore::service
