#pragma once

#include <atomic>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "keycache/wrapped_dek_source.h"
#include "service/hub_access.h"
#include "service/hub_key_changes.h"
#include "store/engine.h"
#include "vault/key_vault.h"

namespace cmkstore::service {

// Brings hubs under a new version of their vault key: all of them that follow the latest version,
// used or not, one at a time, in the background. Until then whoever disables the latest version
// would withdraw nothing of what an older one wraps (KL-14). Hubs that pin a version keep it; one
// that is locked by push is left until it is not. No document is rewritten. Vaults take turns of
// some 20 s, so that a slow one does not hold up the hubs of the others.
//
// Thread-safe; OnLatest never blocks. What fails is counted, logged once an hour or when its reason
// changes, and tried again when the key is told of again. All that it is given must outlive it.
class KeyVersionFollower {
 public:
  KeyVersionFollower(HubAccess& hubs, HubKeyChanges& changes, keycache::WrappedDekSource& source,
                     const store::Engine& engine, vault::KeyVault& vault, Clock& clock)
      : hubs_(hubs),
        changes_(changes),
        source_(source),
        engine_(engine),
        vault_(vault),
        clock_(clock) {}

  // The latest version of this key was seen to be this one.
  void OnLatest(const vault::KeyRef& key, const std::string& version_id);
  uint64_t rewrapped() const { return rewrapped_.value(); }  // hubs
  uint64_t failed() const { return failed_.value(); }        // attempts at a hub or a key
  void Stop();

 private:
  using KeyName = std::pair<std::string, std::string>;  // vault, key in lower case
  static KeyName NameOf(const std::string& vault_uri, const std::string& key_name);
  // A version that was seen, and the last hub (tenant, id) that has been looked at for it.
  struct Seen {
    std::string version;
    std::pair<std::string, std::string> last;
  };
  using Keys = std::map<KeyName, Seen>;
  // What one round has learned of keys, each as a hub reaches it: its latest version, or why no DEK
  // can be wrapped by it now.
  using Asked = std::map<std::string, absl::StatusOr<std::string>>;
  struct Round {
    Keys keys;
    Asked asked;
    std::map<std::string, absl::Duration> taken;  // by each vault
    Keys left;                                    // for the next round
  };
  struct Warning {
    std::string version, reason;
    absl::Time next;  // monotonic
  };

  void Follow();
  // Puts what is left behind what waits, and has it followed.
  void PutBack(Round& round);
  absl::Status FollowAll(Round& round);
  void Warn(const HubEntry& hub, const std::string& version, const absl::Status& failed);
  // `seen`: the version by which the hub's DEKs are to be wrapped. Of what stands in the way of all
  // hubs of a key the first is told.
  absl::Status FollowHub(const HubEntry& hub, const std::string& seen, Asked& asked);
  absl::Status Rewrap(const HubEntry& hub, const std::string& latest);
  absl::StatusOr<std::string> AskLatest(const vault::KeyRef& key);

  HubAccess& hubs_;
  HubKeyChanges& changes_;
  keycache::WrappedDekSource& source_;
  const store::Engine& engine_;
  vault::KeyVault& vault_;
  Clock& clock_;
  Counter rewrapped_, failed_;
  std::atomic<bool> stopping_{false};
  std::map<HubUid, Warning> warned_;  // the worker's; lately
  absl::Mutex mutex_;
  Keys waiting_ ABSL_GUARDED_BY(mutex_);
  Worker worker_{{.name = "key-versions", .threads = 1, .max_queued = 1}};
};

}  // namespace cmkstore::service
