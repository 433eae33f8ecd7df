#pragma once

#include "base/metrics.h"

// What each metric is called and means; docs/metrics.md is made from it.

namespace cmkstore::service::metric {

using Kind = MetricInfo::Kind;

inline constexpr char kMethods[] = "the methods of the API";
inline constexpr char kShard[] = "the shards' numbers, at most 64";

inline constexpr MetricInfo kReady = {"cmkstore_ready", Kind::kGauge, "1 while /readyz says yes."};
inline constexpr MetricInfo kUptime = {"cmkstore_uptime_seconds", Kind::kGauge,
                                       "Time since the server was started."};

inline constexpr MetricInfo kCalls = {"cmkstore_rpc_calls_total",
                                      Kind::kCounter,
                                      "Calls that were answered.",
                                      {"method", "code"},
                                      {kMethods, "the codes of gRPC"}};
inline constexpr MetricInfo kCallTime = {"cmkstore_rpc_latency_seconds",
                                         Kind::kHistogram,
                                         "Time from a call's arrival to its answer; no streams.",
                                         {"method"},
                                         {kMethods}};
inline constexpr MetricInfo kCallsInFlight = {"cmkstore_rpc_in_flight",
                                              Kind::kGauge,
                                              "Calls that have arrived and are not answered yet.",
                                              {"method"},
                                              {kMethods}};
inline constexpr MetricInfo kErrors = {"cmkstore_rpc_errors_total",
                                       Kind::kCounter,
                                       "Calls that failed.",
                                       {"reason"},
                                       {"the reasons of ErrorInfo, or other"}};
inline constexpr MetricInfo kAdmitted = {"cmkstore_gate_admitted_total", Kind::kCounter,
                                         "Calls that the gate has let in."};
inline constexpr MetricInfo kRefused = {"cmkstore_gate_refused_total",
                                        Kind::kCounter,
                                        "Calls that the gate has turned away.",
                                        {"reason"},
                                        {"the gate's reasons, or other"}};

inline constexpr MetricInfo kConnectionsOpen = {"cmkstore_connections_open", Kind::kGauge,
                                                "Connections of callers that are open."};
inline constexpr MetricInfo kConnections = {
    "cmkstore_connections_total",
    Kind::kCounter,
    "Connections of callers: taken, closed at once because too many are open in all or of one peer "
    "(the log's `connection_refused` says whose), and not taken for want of a descriptor or "
    "memory.",
    {"result"},
    {"accepted, refused, failed"}};

inline constexpr MetricInfo kQuotaRefusals = {
    "cmkstore_quota_refusals_total",
    Kind::kCounter,
    "Calls that a tenant's quota has refused; the log's `quota_reached` says whose.",
    {"quota"},
    {"requests_per_second, documents, stored_bytes"}};

inline constexpr MetricInfo kKeyLookups = {"cmkstore_keycache_lookups_total",
                                           Kind::kCounter,
                                           "Look-ups of a hub's keys.",
                                           {"result"},
                                           {"hit, miss"}};
inline constexpr MetricInfo kUnwraps = {"cmkstore_keycache_unwraps_total",
                                        Kind::kCounter,
                                        "Unwraps for the key cache, probes included.",
                                        {"result"},
                                        {"ok, failed"}};
inline constexpr MetricInfo kProbes = {
    "cmkstore_keycache_probes_total", Kind::kCounter,
    "Unwraps whose only purpose was to see whether the key is still "
    "given."};
inline constexpr MetricInfo kKeyWaits = {"cmkstore_keycache_waits_total",
                                         Kind::kCounter,
                                         "Calls that found their hub's unwrap under way.",
                                         {"result"},
                                         {"joined, refused"}};
inline constexpr MetricInfo kEvictions = {"cmkstore_keycache_evictions_total", Kind::kCounter,
                                          "Hubs whose keys gave way to others."};
inline constexpr MetricInfo kKeyHubs = {"cmkstore_keycache_hubs",
                                        Kind::kGauge,
                                        "Hubs that the key cache knows.",
                                        {"state"},
                                        {"cached, locked"}};
inline constexpr MetricInfo kVaultKeys = {"cmkstore_keycache_vault_keys",
                                          Kind::kGauge,
                                          "Vault keys under watch, by what their vault last said.",
                                          {"state"},
                                          {"available, unreachable, denied, unknown"}};
inline constexpr MetricInfo kSuccessAges = {
    "cmkstore_keycache_last_success_keys",
    Kind::kGauge,
    "Vault keys under watch, by the time since their last successful unwrap.",
    {"age"},
    {"under_1m, under_5m, under_1h, over_1h"}};
inline constexpr MetricInfo kUnprovenKeys = {
    "cmkstore_keycache_unproven_keys", Kind::kGauge,
    "Vault keys in use whose vault answers, without a successful unwrap for more than 45 s: the "
    "vault has more of them than its limit lets us probe."};
inline constexpr MetricInfo kOldestSuccess = {
    "cmkstore_keycache_oldest_success_seconds", Kind::kGauge,
    "Time since the last successful unwrap of the vault key that has been unreachable for longest; "
    "0 while there is none."};
inline constexpr MetricInfo kKeyCalls = {"cmkstore_keycache_calls_in_flight", Kind::kGauge,
                                         "Unwraps under way or in line."};

inline constexpr MetricInfo kVaultCalls = {
    "cmkstore_vault_calls_total",
    Kind::kCounter,
    "Calls to vaults, each retry counted.",
    {"operation", "outcome"},
    {"describe, wrap, unwrap",
     "healthy, denied, unreachable, throttled, login_failed, unfit, corrupt"}};
inline constexpr MetricInfo kVaultTime = {"cmkstore_vault_latency_seconds",
                                          Kind::kHistogram,
                                          "Time of one call to a vault.",
                                          {"operation"},
                                          {"describe, wrap, unwrap"}};

inline constexpr MetricInfo kVaultOutages = {
    "cmkstore_vault_outages_total",
    Kind::kCounter,
    "Calls to vaults that got no word on the key, by what stood in the way.",
    {"cause"},
    {"dns, connect, tls, timeout, http_5xx, throttled, login, no_consent, token_refused, "
     "too_large, transport, unknown, other"}};
inline constexpr MetricInfo kVaultsInTrouble = {
    "cmkstore_vaults_in_trouble",
    Kind::kGauge,
    "Vaults, of those called in the last two minutes, whose last call got no word on the key, by "
    "whose trouble it looks like.",
    {"side"},
    {"this_vault, vault_service, our_network, our_login, unknown"}};

inline constexpr MetricInfo kKeyExpiries = {
    "cmkstore_vault_key_expiries",
    Kind::kGauge,
    "Customers' vault keys of active hubs by the time left until they expire, as asked every 6 "
    "hours, first 10 minutes after the start.",
    {"left"},
    {"expired, under_7d, under_30d, over_30d, unread"}};

inline constexpr MetricInfo kVersionRewraps = {
    "cmkstore_key_version_rewraps_total",
    Kind::kCounter,
    "Hubs that were brought under a new version of their vault key, and attempts that failed.",
    {"result"},
    {"rewrapped, failed"}};

inline constexpr MetricInfo kCommits = {
    "cmkstore_commit_writes_total",
    Kind::kCounter,
    "Write sets that were committed or refused, and, as failed, "
    "synced batches that the disk did not take.",
    {"shard", "result"},
    {kShard, "committed, refused, failed"}};
inline constexpr MetricInfo kCommitSize = {"cmkstore_commit_batch_writes",
                                           Kind::kHistogram,
                                           "Write sets that went to disk with one sync.",
                                           {"shard"},
                                           {kShard}};
inline constexpr MetricInfo kCommitTime = {"cmkstore_commit_sync_seconds",
                                           Kind::kHistogram,
                                           "Time of one synced write.",
                                           {"shard"},
                                           {kShard}};
inline constexpr MetricInfo kCommitQueue = {"cmkstore_commit_queue_writes",
                                            Kind::kGauge,
                                            "Write sets that wait for the commit thread.",
                                            {"shard"},
                                            {kShard}};
inline constexpr MetricInfo kAccepting = {
    "cmkstore_shard_accepting",
    Kind::kGauge,
    "1 while the shard takes writes; 0 while its disk is full "
    "or failing, and, where it has failed again and again, until it has gone 5 minutes without.",
    {"shard"},
    {kShard}};
inline constexpr MetricInfo kRocks = {
    "cmkstore_rocksdb",
    Kind::kGauge,
    "What RocksDB says of itself.",
    {"shard", "property"},
    {kShard,
     "estimated_keys, table_file_bytes, memtable_bytes, table_reader_bytes, "
     "pending_compaction_bytes, running_compactions, running_flushes, immutable_memtables, "
     "write_stopped, delayed_write_rate, background_errors"}};
inline constexpr MetricInfo kBlockCache = {"cmkstore_block_cache_bytes", Kind::kGauge,
                                           "Memory in the block cache that all shards share."};
inline constexpr MetricInfo kFreeDisk = {"cmkstore_disk_free_bytes", Kind::kGauge,
                                         "Room on the file system of the data directory."};
inline constexpr MetricInfo kDiskSize = {"cmkstore_disk_size_bytes", Kind::kGauge,
                                         "Size of that file system."};
inline constexpr MetricInfo kDiskNeeded = {
    "cmkstore_disk_needed_bytes", Kind::kGauge,
    "Room below which the server is not ready (store.min_free_disk)."};

inline constexpr MetricInfo kIndexesOpen = {"cmkstore_index_open", Kind::kGauge,
                                            "Search indexes that are open."};
inline constexpr MetricInfo kIndexEvents = {"cmkstore_index_events_total",
                                            Kind::kCounter,
                                            "What happened to search indexes.",
                                            {"event"},
                                            {"opened, evicted, rebuilt, damaged, failed"}};
inline constexpr MetricInfo kIndexApplied = {"cmkstore_index_applied_total", Kind::kCounter,
                                             "Changes that search indexes have taken in."};
inline constexpr MetricInfo kIndexHubs = {
    "cmkstore_index_hubs",
    Kind::kGauge,
    "Hubs whose index is not level with their documents, and, "
    "as unseen, active hubs whose index was not looked at "
    "since the start; counted about once a minute.",
    {"state"},
    {"behind, stopped, unseen"}};
inline constexpr MetricInfo kIndexLag = {
    "cmkstore_index_lag_changes", Kind::kGauge,
    "Changes that search indexes have still to take in, stopped "
    "hubs not counted."};
inline constexpr MetricInfo kOperations = {"cmkstore_operations_running", Kind::kGauge,
                                           "Long-running operations under way or in line."};
inline constexpr MetricInfo kBackupConfigured = {
    "cmkstore_backup_configured", Kind::kGauge,
    "1 where the configuration has a directory for backups, else 0."};
inline constexpr MetricInfo kLastBackup = {
    "cmkstore_backup_last_success_timestamp_seconds", Kind::kGauge,
    "Time of which the newest backup has everything; 0: there is none."};
inline constexpr MetricInfo kIntegrityErrors = {"cmkstore_integrity_errors_total", Kind::kCounter,
                                                "Things that are not as they must be, found by "
                                                "VerifyIntegrity, by the reading of table files "
                                                "in the background, and by searches and indexes on "
                                                "their way."};

inline constexpr MetricInfo kCertificateEnd = {
    "cmkstore_certificate_expiry_timestamp_seconds",
    Kind::kGauge,
    "When the first certificate of a file ends; 0 when the file cannot be read.",
    {"file"},
    {"server, client_ca, vault_ca, vault_login"}};
inline constexpr MetricInfo kConfigPending = {
    "cmkstore_config_pending",
    Kind::kGauge,
    "1 while the configuration file is not what the server goes by: it is refused (the log's "
    "`config_not_reloaded` says why), has changes that need a restart, or names TLS files that "
    "cannot be used (`tls_files_not_reloaded`).",
    {"why"},
    {"refused, needs_restart, tls_refused"}};
inline constexpr MetricInfo kLogHeldBack = {"cmkstore_log_lines_held_back_total", Kind::kCounter,
                                            "Lines that the log's bounds have cost."};

inline constexpr MetricInfo kCpu = {"process_cpu_seconds_total", Kind::kCounter,
                                    "Processor time of the process."};
inline constexpr MetricInfo kResident = {"process_resident_memory_bytes", Kind::kGauge,
                                         "Memory of the process."};
inline constexpr MetricInfo kDescriptors = {"process_open_fds", Kind::kGauge,
                                            "Open file descriptors."};
inline constexpr MetricInfo kMaxDescriptors = {"process_max_fds", Kind::kGauge,
                                               "File descriptors that the process may have."};
inline constexpr MetricInfo kThreads = {"process_threads", Kind::kGauge, "Threads of the process."};

inline constexpr const MetricInfo* kAll[] = {
    &kReady,           &kUptime,          &kCalls,         &kCallTime,
    &kCallsInFlight,   &kErrors,          &kAdmitted,      &kRefused,
    &kKeyLookups,      &kUnwraps,         &kProbes,        &kKeyWaits,
    &kEvictions,       &kKeyHubs,         &kVaultKeys,     &kSuccessAges,
    &kUnprovenKeys,    &kOldestSuccess,   &kKeyCalls,      &kVaultCalls,
    &kVaultTime,       &kKeyExpiries,     &kVaultOutages,  &kVaultsInTrouble,
    &kCommits,         &kCommitSize,      &kCommitTime,    &kCommitQueue,
    &kAccepting,       &kRocks,           &kBlockCache,    &kFreeDisk,
    &kDiskSize,        &kDiskNeeded,      &kIndexesOpen,   &kIndexEvents,
    &kIndexApplied,    &kIndexHubs,       &kIndexLag,      &kOperations,
    &kCertificateEnd,  &kLogHeldBack,     &kCpu,           &kResident,
    &kDescriptors,     &kMaxDescriptors,  &kThreads,       &kLastBackup,
    &kIntegrityErrors, &kQuotaRefusals,   &kConfigPending, &kBackupConfigured,
    &kVersionRewraps,  &kConnectionsOpen, &kConnections,
};

}  // namespace cmkstore::service::metric
