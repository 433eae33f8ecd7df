#include "service/metrics.h"

#include <grpcpp/support/status_code_enum.h>

#include <algorithm>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process_stats.h"
#include "crypto/certificate_dates.h"
#include "service/metric_catalog.h"

namespace cmkstore::service {
namespace {

void AddCalls(const RpcServer& rpc, MetricsText& text) {
  for (const MethodStats* method : rpc.MethodsStats()) {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      // A series that has never counted would be 17 for each method.
      const uint64_t calls = method->by_code[code].value();
      if (calls == 0 && code != 0) continue;
      const std::string name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      text.Add(metric::kCalls, static_cast<double>(calls), {method->name, name});
    }
    text.Add(metric::kCallTime, method->latency, {method->name});
    text.Add(metric::kCallsInFlight, static_cast<double>(method->in_flight.load()), {method->name});
  }
  for (const auto& [reason, count] : rpc.stats().errors.Read()) {
    text.Add(metric::kErrors, static_cast<double>(count), {reason});
  }
  text.Add(metric::kAdmitted, static_cast<double>(rpc.stats().admitted.value()));
  for (const auto& [reason, count] : rpc.stats().refused.Read()) {
    text.Add(metric::kRefused, static_cast<double>(count), {reason});
  }
}

void AddConnections(const AcceptorStats& stats, MetricsText& text) {
  text.Add(metric::kConnectionsOpen, static_cast<double>(stats.open));
  text.Add(metric::kConnections, static_cast<double>(stats.accepted), {"accepted"});
  text.Add(metric::kConnections, static_cast<double>(stats.refused), {"refused"});
  text.Add(metric::kConnections, static_cast<double>(stats.failed), {"failed"});
}

void AddQuotas(const RequestQuota& requests, const StorageQuota& storage, MetricsText& text) {
  const auto add = [&text](uint64_t refused, absl::string_view quota) {
    text.Add(metric::kQuotaRefusals, static_cast<double>(refused), {quota});
  };
  add(requests.refused(), "requests_per_second");
  add(storage.refused_documents(), "documents");
  add(storage.refused_bytes(), "stored_bytes");
}

void AddKeys(const keycache::KeyCacheStats& stats, MetricsText& text) {
  const auto add = [&text](const MetricInfo& info, uint64_t value, absl::string_view label) {
    text.Add(info, static_cast<double>(value), {label});
  };
  add(metric::kKeyLookups, stats.hits, "hit");
  add(metric::kKeyLookups, stats.misses, "miss");
  add(metric::kUnwraps, stats.unwraps - stats.unwrap_failures, "ok");
  add(metric::kUnwraps, stats.unwrap_failures, "failed");
  text.Add(metric::kProbes, static_cast<double>(stats.probes));
  add(metric::kKeyWaits, stats.waits, "joined");
  add(metric::kKeyWaits, stats.rejected_waiters, "refused");
  text.Add(metric::kEvictions, static_cast<double>(stats.evictions));
  add(metric::kKeyHubs, stats.cached_hubs, "cached");
  add(metric::kKeyHubs, stats.locked_hubs, "locked");
  add(metric::kVaultKeys, stats.vault_keys_available, "available");
  add(metric::kVaultKeys, stats.vault_keys_unreachable, "unreachable");
  add(metric::kVaultKeys, stats.vault_keys_denied, "denied");
  add(metric::kVaultKeys, stats.vault_keys_unknown, "unknown");
  const absl::string_view ages[] = {"under_1m", "under_5m", "under_1h", "over_1h"};
  for (size_t i = 0; i < stats.success_ages.size(); ++i) {
    add(metric::kSuccessAges, stats.success_ages[i], ages[i]);
  }
  text.Add(metric::kUnprovenKeys, static_cast<double>(stats.vault_keys_unproven));
  text.Add(metric::kOldestSuccess, absl::ToDoubleSeconds(stats.oldest_success));
  text.Add(metric::kKeyCalls, static_cast<double>(stats.calls_under_way));
}

void AddVault(const vault::TimedKeyVault& vault, MetricsText& text) {
  for (const vault::VaultCallStats& stats : vault.stats()) {
    for (size_t i = 0; i < vault::kVaultOutcomes.size(); ++i) {
      text.Add(metric::kVaultCalls, static_cast<double>(stats.by_outcome[i].value()),
               {stats.operation, vault::ToString(vault::kVaultOutcomes[i])});
    }
    text.Add(metric::kVaultTime, stats.latency, {stats.operation});
  }
  for (const auto& [cause, count] : vault.outages().Read()) {
    text.Add(metric::kVaultOutages, static_cast<double>(count), {cause});
  }
}

void AddTroubles(vault::VaultMeter& meter, MetricsText& text) {
  std::map<vault::TroubleSide, uint32_t> troubles = meter.Troubles();
  for (const vault::TroubleSide side :
       {vault::TroubleSide::kThisVault, vault::TroubleSide::kVaultService,
        vault::TroubleSide::kOurNetwork, vault::TroubleSide::kOurLogin,
        vault::TroubleSide::kUnknown}) {
    text.Add(metric::kVaultsInTrouble, troubles[side], {vault::ToString(side)});
  }
}

void AddKeyExpiries(const KeyExpiries& expiries, MetricsText& text) {
  const absl::string_view left[] = {"expired", "under_7d", "under_30d", "over_30d"};
  for (size_t i = 0; i < expiries.keys.size(); ++i) {
    text.Add(metric::kKeyExpiries, static_cast<double>(expiries.keys[i]), {left[i]});
  }
  text.Add(metric::kKeyExpiries, static_cast<double>(expiries.unread), {"unread"});
}

void AddShards(const store::ShardSet& shards, MetricsText& text) {
  size_t number = 0;
  for (const store::ShardState& state : shards.States()) {
    const std::string shard = absl::StrCat(number++);
    const store::CommitStats& commits = *state.commits;
    text.Add(metric::kCommits, static_cast<double>(commits.committed.value()),
             {shard, "committed"});
    text.Add(metric::kCommits, static_cast<double>(commits.refused.value()), {shard, "refused"});
    text.Add(metric::kCommits, static_cast<double>(commits.failed.value()), {shard, "failed"});
    text.Add(metric::kCommitSize, commits.batch_size, {shard});
    text.Add(metric::kCommitTime, commits.sync_time, {shard});
    text.Add(metric::kCommitQueue, static_cast<double>(state.queued_writes), {shard});
    text.Add(metric::kAccepting, state.accepting ? 1 : 0, {shard});
    for (size_t i = 0; i < state.rocks.size(); ++i) {
      text.Add(metric::kRocks, static_cast<double>(state.rocks[i]),
               {shard, store::kRocksProperties[i].name});
    }
  }
  text.Add(metric::kBlockCache, static_cast<double>(shards.block_cache_bytes()));
}

void AddIndexes(const search::IndexSetStats& set, const search::IndexFollowerStats& follower,
                size_t active_hubs, MetricsText& text) {
  text.Add(metric::kIndexesOpen, static_cast<double>(set.open));
  text.Add(metric::kIndexEvents, static_cast<double>(set.opened), {"opened"});
  text.Add(metric::kIndexEvents, static_cast<double>(set.evicted), {"evicted"});
  text.Add(metric::kIndexEvents, static_cast<double>(set.rebuilt), {"rebuilt"});
  text.Add(metric::kIndexEvents, static_cast<double>(follower.damaged), {"damaged"});
  text.Add(metric::kIndexEvents, static_cast<double>(follower.failures), {"failed"});
  text.Add(metric::kIndexApplied, static_cast<double>(follower.applied));
  text.Add(metric::kIndexHubs, static_cast<double>(follower.behind), {"behind"});
  text.Add(metric::kIndexHubs, static_cast<double>(follower.stopped), {"stopped"});
  const size_t seen = std::min(follower.seen, active_hubs);  // some may have been deleted since
  text.Add(metric::kIndexHubs, static_cast<double>(active_hubs - seen), {"unseen"});
  text.Add(metric::kIndexLag, static_cast<double>(follower.lag));
}

// Read from the files each time: what is shown is what the next start, or the next look of those
// who watch the files, will use. Of several files of one label, the first to end counts.
void AddCertificates(const std::vector<CertificateFile>& files, MetricsText& text) {
  std::map<std::string, double> ends;
  for (const CertificateFile& file : files) {
    const std::optional<std::string> pem = ReadFile(file.path);
    const auto end = crypto::EarliestCertificateEnd(pem.value_or(""));
    const double seconds = end.ok() ? static_cast<double>(absl::ToUnixSeconds(*end)) : 0;
    const auto [found, fresh] = ends.emplace(file.label, seconds);
    if (!fresh) found->second = std::min(found->second, seconds);
  }
  for (const auto& [label, seconds] : ends) text.Add(metric::kCertificateEnd, seconds, {label});
}

void AddProcess(MetricsText& text) {
  const ProcessStats stats = ReadProcessStats();
  text.Add(metric::kCpu, stats.cpu_seconds);
  text.Add(metric::kResident, static_cast<double>(stats.resident_bytes));
  text.Add(metric::kDescriptors, static_cast<double>(stats.open_descriptors));
  text.Add(metric::kMaxDescriptors, static_cast<double>(stats.max_descriptors));
  text.Add(metric::kThreads, static_cast<double>(stats.threads));
}

std::string LabelsOf(const MetricInfo& info) {
  std::string labels;
  for (size_t i = 0; i < info.labels.size() && info.labels[i] != nullptr; ++i) {
    absl::StrAppend(&labels, labels.empty() ? "" : "; ", "`", info.labels[i],
                    "`: ", info.label_values[i]);
  }
  return labels;
}

}  // namespace

std::span<const MetricInfo* const> AllMetrics() { return metric::kAll; }

std::string RenderMetrics(const StatusSources& sources) {
  MetricsText text;
  text.Add(metric::kReady, sources.health.Ready().ok ? 1 : 0);
  text.Add(metric::kUptime, absl::ToDoubleSeconds(sources.clock.MonotonicNow() - sources.started));
  AddCalls(sources.rpc, text);
  AddConnections(sources.rpc.ConnectionStats(), text);
  AddQuotas(sources.request_quota, sources.storage_quota, text);
  AddKeys(sources.keys.Stats(), text);
  AddVault(sources.vault, text);
  AddTroubles(sources.vault_meter, text);
  AddKeyExpiries(sources.expiries.Last(), text);
  text.Add(metric::kVersionRewraps, static_cast<double>(sources.key_versions.rewrapped()),
           {"rewrapped"});
  text.Add(metric::kVersionRewraps, static_cast<double>(sources.key_versions.failed()), {"failed"});
  AddShards(sources.shards, text);
  text.Add(metric::kFreeDisk, static_cast<double>(FreeDiskBytes(sources.data_dir)));
  text.Add(metric::kDiskSize, static_cast<double>(DiskSizeBytes(sources.data_dir)));
  text.Add(metric::kDiskNeeded, static_cast<double>(sources.min_free_disk_bytes));
  AddIndexes(sources.indexes.Stats(), sources.follower.Stats(), sources.purges.LastStates().active,
             text);
  text.Add(metric::kOperations, static_cast<double>(sources.operations.running()));
  AddCertificates(sources.certificates, text);
  text.Add(metric::kConfigPending, sources.config.refused ? 1 : 0, {"refused"});
  text.Add(metric::kConfigPending, sources.config.needs_restart ? 1 : 0, {"needs_restart"});
  text.Add(metric::kConfigPending, sources.config.tls_refused ? 1 : 0, {"tls_refused"});
  text.Add(metric::kLogHeldBack, static_cast<double>(HeldBackLogLines()));
  text.Add(metric::kBackupConfigured, sources.backups_configured ? 1 : 0);
  text.Add(metric::kLastBackup, static_cast<double>(sources.backups.last_success_micros) / 1e6);
  text.Add(metric::kIntegrityErrors, static_cast<double>(sources.backups.integrity_errors.value()));
  AddProcess(text);
  return text.Serialize();
}

std::string MetricsReference() {
  std::string page =
      R"(# Metrics

`/metrics` of the admin port speaks the text format of Prometheus. The number of series is bounded: no label names a tenant, a hub,
a vault, a project or a document. This page is made from `service/metric_catalog.h`; a test compares the two, and another that a
running server shows exactly these.

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
)";
  for (const MetricInfo* info : AllMetrics()) {
    const char* kind = info->kind == metric::Kind::kCounter ? "counter"
                       : info->kind == metric::Kind::kGauge ? "gauge"
                                                            : "histogram";
    absl::StrAppend(&page, "| `", info->name, "` | ", kind, " | ", LabelsOf(*info), " | ",
                    info->help, " |\n");
  }
  absl::StrAppend(&page, R"(
## Questions and their queries

| question | query |
| --- | --- |
| Reads a second | `sum(rate(cmkstore_rpc_calls_total{method=~"GetDocument|BatchGetDocuments|ListDocuments"}[5m]))` |
| Part of calls that fail by our or a vault's fault | `sum(rate(cmkstore_rpc_calls_total{code=~"UNAVAILABLE|INTERNAL|DATA_LOSS|UNKNOWN"}[5m])) / sum(rate(cmkstore_rpc_calls_total[5m]))` |
| 99th percentile of reads | `histogram_quantile(0.99, sum by (le) (rate(cmkstore_rpc_latency_seconds_bucket{method="GetDocument"}[5m])))` |
| 99th percentile of a sync | `histogram_quantile(0.99, sum by (le) (rate(cmkstore_commit_sync_seconds_bucket[5m])))` |
| Part of look-ups that needed a vault | `rate(cmkstore_keycache_lookups_total{result="miss"}[5m]) / ignoring(result) sum without (result) (rate(cmkstore_keycache_lookups_total[5m]))` |
| Keys that customers have withdrawn | `cmkstore_keycache_vault_keys{state="denied"}` |
| Our own login to vaults fails | `cmkstore_vaults_in_trouble{side="our_login"} > 0` |
| Our network to vaults is down, not a customer's vault | `cmkstore_vaults_in_trouble{side="our_network"} > 0` |
| Search is behind | `cmkstore_index_lag_changes` |
| Tenants' quotas refuse calls | `sum by (quota) (rate(cmkstore_quota_refusals_total[5m])) > 0` |
| No backup for a day | `time() - cmkstore_backup_last_success_timestamp_seconds > 86400` |
| Stored data is damaged | `increase(cmkstore_integrity_errors_total[1d]) > 0` |
| A shard's disk is full or failing | `cmkstore_shard_accepting == 0` |
)");
  return page;
}

}  // namespace cmkstore::service
