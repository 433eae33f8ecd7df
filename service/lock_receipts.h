#pragma once

#include <functional>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "keycache/key_state.h"

namespace cmkstore::service {

// Hears of every lock and outage, logs it, keeps the last lock of each hub as its revocation
// receipt and wakes what streams the hub. Thread-safe.
class LockReceipts final : public keycache::KeyStateListener {
 public:
  explicit LockReceipts(std::function<void(HubUid)> hub_changed)
      : hub_changed_(std::move(hub_changed)) {}

  std::optional<keycache::LockReport> Last(HubUid hub) {
    absl::MutexLock lock(&mutex_);
    const auto found = last_.find(hub);
    if (found == last_.end()) return std::nullopt;
    return found->second;
  }

  void OnLocked(const keycache::LockReport& report) override {
    {
      absl::MutexLock lock(&mutex_);
      last_[report.hub] = report;
    }
    Log(LogLevel::kWarning, "hub_locked",
        {{"hub_uid", report.hub.ToHex()},
         {"by", report.by_push ? "push" : "vault"},
         {"cause", report.cause},
         {"keys_wiped", std::to_string(report.keys_wiped)}});
    hub_changed_(report.hub);
  }
  void OnUnlocked(HubUid hub) override {
    Log(LogLevel::kInfo, "hub_unlocked", {{"hub_uid", hub.ToHex()}});
  }
  void OnVaultUnreachable(const std::string& vault_uri, absl::string_view cause) override {
    Log(LogLevel::kWarning, "vault_unreachable",
        {{"vault", vault_uri}, {"cause", std::string(cause)}});
  }
  void OnVaultReachable(const std::string& vault_uri) override {
    Log(LogLevel::kInfo, "vault_reachable", {{"vault", vault_uri}});
  }

 private:
  const std::function<void(HubUid)> hub_changed_;
  absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, keycache::LockReport> last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::service
