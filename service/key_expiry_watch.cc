#include "service/key_expiry_watch.h"

#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/hub_key_source.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kFirstAfter = absl::Minutes(10);
constexpr absl::Duration kEvery = absl::Hours(6);
constexpr absl::Duration kCallTimeout = absl::Seconds(5);
constexpr size_t kHubsAtOnce = 1000;
constexpr size_t kMaxKeys = 1'000'000;

size_t BucketOf(absl::Duration left) {
  return left <= absl::ZeroDuration()   ? 0
         : left <= absl::Hours(24 * 7)  ? 1
         : left <= absl::Hours(24 * 30) ? 2
                                        : 3;
}

bool IsWatched(const storage::v1::HubRecord& record) {
  return record.state() == storage::v1::HUB_STATE_ACTIVE && !record.platform_managed();
}

}  // namespace

KeyExpiryWatch::KeyExpiryWatch(store::Engine& engine, vault::KeyVault& vault, Clock& clock,
                               Latest latest)
    : engine_(engine),
      vault_(vault),
      clock_(clock),
      latest_(std::move(latest)),
      next_sweep_(clock.MonotonicNow() + kFirstAfter) {}

void KeyExpiryWatch::Tick() {
  const absl::Time now = clock_.MonotonicNow();
  if (now < next_sweep_) return;
  next_sweep_ = now + kEvery;
  // Not taken while the last sweep still runs: then that one is news enough.
  (void)worker_.TryRun([this] {
    if (const absl::Status swept = Sweep(); !swept.ok()) {
      Log(LogLevel::kWarning, "key_expiry_sweep_failed", {{"reason", ReasonOf(swept)}});
    }
  });
}

absl::Status KeyExpiryWatch::Sweep() {
  using KeyName = std::tuple<std::string, std::string, std::string>;  // vault, key, version
  absl::flat_hash_set<KeyName> asked;
  absl::flat_hash_set<std::string> silent;
  KeyExpiries found;
  const auto ask = [&](const vault::KeyRef& key) {
    if (asked.size() >= kMaxKeys) return;
    if (!asked.emplace(key.vault_uri, key.key_name, key.version).second) return;
    if (silent.contains(key.vault_uri)) {
      ++found.unread;
      return;
    }
    const absl::Time now = clock_.WallNow();
    const auto description = vault_.Describe(key, now + kCallTimeout);
    if (description.ok()) {
      ++found.keys[BucketOf(description->expires - now)];
      if (key.version.empty() && description->enabled) latest_(key, description->version_id);
      return;
    }
    ++found.unread;
    if (!HasReason(description.status(), "CUSTOMER_KEY_REVOKED")) silent.insert(key.vault_uri);
  };
  const store::HubsTable hubs(engine_);
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    for (const storage::v1::HubRecord& record : records) {
      if (stopping_) return Cancelled("the server stops");
      if (IsWatched(record)) ask(KeyRefOf(record));
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  absl::MutexLock lock(&mutex_);
  last_ = found;
  return absl::OkStatus();
}

KeyExpiries KeyExpiryWatch::Last() const {
  absl::MutexLock lock(&mutex_);
  return last_;
}

void KeyExpiryWatch::Stop() {
  stopping_ = true;
  worker_.Stop();
}

}  // namespace cmkstore::service
