#include "service/status_report.h"

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/build_info.h"
#include "base/process_stats.h"

namespace cmkstore::service {
namespace {

using nlohmann::ordered_json;

ordered_json ShardsOf(const store::ShardSet& shards) {
  ordered_json list = ordered_json::array();
  for (const store::ShardState& state : shards.States()) {
    ordered_json one = {{"shard", list.size()},
                        {"takes_writes", state.accepting},
                        {"committed", state.commits->committed.value()},
                        {"refused", state.commits->refused.value()},
                        {"queued", state.queued_writes}};
    for (size_t i = 0; i < 3; ++i) {  // the sizes; the rest is for /metrics
      one[std::string(store::kRocksProperties[i].name)] = state.rocks[i];
    }
    list.push_back(std::move(one));
  }
  return list;
}

// Those that were called in the last two minutes: how many answer, and the others by whose trouble
// it looks like.
ordered_json VaultsOf(vault::VaultMeter& meter) {
  using Side = vault::TroubleSide;
  std::map<Side, uint32_t> troubles = meter.Troubles();
  uint32_t called = 0;
  for (const auto& [side, vaults] : troubles) called += vaults;
  ordered_json counts = {{"called_lately", called}, {"reachable", troubles[Side::kNone]}};
  for (const Side side : {Side::kThisVault, Side::kVaultService, Side::kOurNetwork, Side::kOurLogin,
                          Side::kUnknown}) {
    counts[absl::StrCat("in_trouble_", vault::ToString(side))] = troubles[side];
  }
  return counts;
}

ordered_json CallsOf(const RpcServer& rpc) {
  ordered_json list = ordered_json::array();
  for (const MethodStats* method : rpc.MethodsStats()) {
    const Histogram::Snapshot latency = method->latency.Read();
    uint64_t answered = 0;
    for (const Counter& counter : method->by_code) answered += counter.value();
    if (answered == 0 && method->in_flight.load() == 0) continue;
    const double mean = latency.count == 0 ? 0 : latency.sum / static_cast<double>(latency.count);
    list.push_back({{"method", method->name},
                    {"in_flight", method->in_flight.load()},
                    {"answered", answered},
                    {"failed", answered - method->by_code[0].value()},
                    {"mean_microseconds", static_cast<int64_t>(mean * 1e6)}});
  }
  return list;
}

}  // namespace

std::string StatusReport(const StatusSources& sources) {
  const absl::Duration uptime = sources.clock.MonotonicNow() - sources.started;
  const keycache::KeyCacheStats keys = sources.keys.Stats();
  const search::IndexSetStats indexes = sources.indexes.Stats();
  const search::IndexFollowerStats follower = sources.follower.Stats();
  const HubStates hubs = sources.purges.LastStates();
  const ProcessStats process = ReadProcessStats();
  ordered_json status = {{"version", CMKSTORE_VERSION},
                         {"revision", std::string(BuildRevision())},
                         {"build_type", std::string(BuildType())},
                         {"compiler", __VERSION__},
                         {"state", sources.health.State()},
                         {"uptime", absl::FormatDuration(absl::Floor(uptime, absl::Seconds(1)))},
                         {"operations_in_flight", sources.operations.running()}};
  status["readiness"] = ordered_json::array();
  for (const std::string& line : sources.health.Ready().lines) {
    status["readiness"].push_back(
        {{"result", std::string(absl::StripAsciiWhitespace(line.substr(0, 4)))},
         {"what", line.substr(5)}});
  }
  status["shards"] = ShardsOf(sources.shards);
  status["vaults"] = VaultsOf(sources.vault_meter);
  status["vault_keys"] = {{"available", keys.vault_keys_available},
                          {"unreachable", keys.vault_keys_unreachable},
                          {"denied", keys.vault_keys_denied},
                          {"not_asked_yet", keys.vault_keys_unknown},
                          {"oldest_success_seconds", absl::ToInt64Seconds(keys.oldest_success)}};
  status["hubs"] = {{"active", hubs.active},
                    {"suspended", hubs.suspended},
                    {"deleted", hubs.deleted},
                    {"purged", hubs.purged},
                    {"with_cached_keys", keys.cached_hubs},
                    {"locked", keys.locked_hubs}};
  status["key_cache"] = {{"hits", keys.hits},
                         {"misses", keys.misses},
                         {"unwraps", keys.unwraps},
                         {"failed_unwraps", keys.unwrap_failures},
                         {"vault_calls_in_flight", keys.calls_under_way}};
  status["indexes"] = {{"open", indexes.open},
                       {"hubs_behind", follower.behind},
                       {"hubs_stopped", follower.stopped},
                       {"changes_to_apply", follower.lag},
                       {"rebuilt", indexes.rebuilt}};
  status["memory_and_disk"] = {{"resident_bytes", process.resident_bytes},
                               {"block_cache_bytes", sources.shards.block_cache_bytes()},
                               {"free_disk_bytes", FreeDiskBytes(sources.data_dir)},
                               {"open_descriptors", process.open_descriptors},
                               {"threads", process.threads}};
  status["calls"] = CallsOf(sources.rpc);
  return status.dump(2, ' ', true, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace cmkstore::service
