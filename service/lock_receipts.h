#pragma once

#include <functional>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "keycache/key_state.h"

namespace cmkstore::service {

// What a hub's lock did, beyond the key cache.
struct LockReceipt {
  keycache::LockReport report;
  bool index_closed = false;
};

// Hears of every lock and outage: closes the hub's search index, logs, keeps the last lock of each
// hub as its revocation receipt and wakes what streams the hub. Thread-safe.
class LockReceipts final : public keycache::KeyStateListener {
 public:
  struct Actions {
    std::function<std::string(HubUid)> name_of;  // "tenants/T/hubs/H": whom to tell
    std::function<bool(HubUid)> close_index;     // whether it was open
    std::function<void(HubUid)> follow_again;
    std::function<void(HubUid)> wake_streams;
    std::function<void(HubUid)> count_unwrap;
  };
  explicit LockReceipts(Actions actions) : actions_(std::move(actions)) {}

  std::optional<LockReceipt> Last(HubUid hub) {
    absl::MutexLock lock(&mutex_);
    const auto found = last_.find(hub);
    if (found == last_.end()) return std::nullopt;
    return found->second;
  }

  void OnLocked(const keycache::LockReport& report) override {
    const bool index_closed = actions_.close_index(report.hub);
    {
      absl::MutexLock lock(&mutex_);
      last_[report.hub] = {report, index_closed};
    }
    Log(LogLevel::kWarning, "hub_locked",
        {{"hub_uid", report.hub.ToHex()},
         {"hub", actions_.name_of(report.hub)},
         {"by", report.by_push ? "push" : "vault"},
         {"cause", report.cause},
         {"keys_wiped", std::to_string(report.keys_wiped)},
         {"index_closed", index_closed ? "true" : "false"}});
    actions_.wake_streams(report.hub);
  }
  void OnUnlocked(HubUid hub) override {
    Log(LogLevel::kInfo, "hub_unlocked",
        {{"hub_uid", hub.ToHex()}, {"hub", actions_.name_of(hub)}});
    actions_.follow_again(hub);
  }
  void OnVaultUnreachable(const std::string& vault_uri, absl::string_view reason) override {
    Log(LogLevel::kWarning, "vault_unreachable",
        {{"vault", vault_uri}, {"reason", std::string(reason)}});
  }
  void OnVaultReachable(const std::string& vault_uri) override {
    Log(LogLevel::kInfo, "vault_reachable", {{"vault", vault_uri}});
  }
  void OnWrappedDekUnusable(HubUid hub, const std::string& vault_uri,
                            absl::string_view reason) override {
    Log(LogLevel::kError, "wrapped_dek_unusable",
        {{"hub_uid", hub.ToHex()},
         {"hub", actions_.name_of(hub)},
         {"vault", vault_uri},
         {"reason", std::string(reason)}});
  }
  void OnHubKeysCorrupt(HubUid hub, absl::string_view reason) override {
    Log(LogLevel::kError, "hub_keys_corrupt",
        {{"hub_uid", hub.ToHex()},
         {"hub", actions_.name_of(hub)},
         {"reason", std::string(reason)}});
  }
  void OnUnwrapAsked(HubUid hub) override { actions_.count_unwrap(hub); }

 private:
  const Actions actions_;
  absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, LockReceipt> last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::service
