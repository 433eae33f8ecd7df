#pragma once

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "keycache/key_cache.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "service/backup/backup_options.h"
#include "service/health.h"
#include "service/key_expiry_watch.h"
#include "service/key_version_follower.h"
#include "service/operations.h"
#include "service/purge_hubs.h"
#include "service/request_quota.h"
#include "service/rpc_server.h"
#include "service/storage_quota.h"
#include "store/rocksdb/shard_set.h"
#include "vault/timed_key_vault.h"
#include "vault/vault_meter.h"

namespace cmkstore::service {

// A certificate whose end is to be seen coming.
struct CertificateFile {
  std::string label;  // as in the catalog of metrics
  std::string path;
};

// What the configuration and its TLS files say and the server does not go by.
struct ConfigPending {
  std::atomic<bool> refused{false};
  std::atomic<bool> needs_restart{false};
  std::atomic<bool> tls_refused{false};
};

// The parts whose counts are shown. All must outlive whoever holds this.
struct StatusSources {
  const Health& health;
  const RpcServer& rpc;
  const vault::TimedKeyVault& vault;
  vault::VaultMeter& vault_meter;
  const store::ShardSet& shards;
  keycache::KeyCache& keys;
  const search::IndexSet& indexes;
  const search::IndexFollower& follower;
  Operations& operations;
  const BackupStats& backups;
  const KeyExpiryWatch& expiries;
  const KeyVersionFollower& key_versions;
  const PurgeHubs& purges;
  const RequestQuota& request_quota;
  const StorageQuota& storage_quota;
  Clock& clock;
  std::string data_dir;
  absl::Time started;  // monotonic
  uint64_t min_free_disk_bytes;
  const std::vector<CertificateFile>& certificates;
  const ConfigPending& config;
  bool backups_configured;
};

// Every metric of /metrics; the number of series of each is bounded by its labels' values. Tenants,
// hubs and vaults are only counted, never named.
std::span<const MetricInfo* const> AllMetrics();

// The text of /metrics. Reads counters; takes the short locks of the parts that keep statistics.
std::string RenderMetrics(const StatusSources& sources);

// The page docs/metrics.md.
std::string MetricsReference();

}  // namespace cmkstore::service
