#include "tests/reliability/outages.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace cmkstore::reliability {
namespace {

using nlohmann::json;

constexpr char kBadTls[] = "bad-tls";
constexpr int kEndless = -1;
// Longer than a caller's patience, and no longer: each holds a thread of the vault.
constexpr int kHangMilliseconds = 5'000;
constexpr size_t kKeysPerVault = 100;

int PortOf(const std::string& url) {
  int port = 0;
  (void)absl::SimpleAtoi(url.substr(url.rfind(':') + 1), &port);
  return port;
}

json FaultOf(const Outages::Vault& vault) {
  json fault = {{"vault", vault.name}, {"count", kEndless}};
  if (vault.style == "hang") {
    fault["kind"] = "hang";
    fault["hang_ms"] = kHangMilliseconds;
  } else if (vault.style == "reset") {
    fault["kind"] = "reset";
  } else {
    fault["status"] = std::atoi(vault.style.c_str());
  }
  return fault;
}

}  // namespace

Outages::Outages(Stage& stage) : stage_(stage) {
  const int port = PortOf(stage.endpoints().url);
  dev_vault::DevVaultOptions options;
  options.state_dir = stage.directory() + "/stranger";
  auto started = dev_vault::DevVault::Start(options, clock_);
  if (!started.ok()) {
    std::fprintf(stderr, "%s\n", std::string(started.status().message()).c_str());
    std::_Exit(2);
  }
  stranger_ = *std::move(started);
  relay_ = std::make_unique<TcpRelay>(port);
  for (const char* style : {"hang", "reset", "500", "503", "429", kBadTls}) {
    const std::string label = absl::StrCat("v-", style);
    vaults_.push_back({style, absl::StrCat(label, ".vault.localhost"),
                       stage.AddVault(label, style == kBadTls ? relay_->port() : 0)});
  }
  calls_.resize(vaults_.size());
}

void Outages::Begin() {
  next_call_ = stage_.owner().Admin("GET", "calls?since=999999999999")["next"];
  for (std::vector<absl::Time>& calls : calls_) calls.clear();
  json faults = json::array();
  for (const Vault& vault : vaults_) {
    if (vault.style != kBadTls) faults.push_back(FaultOf(vault));
  }
  stage_.owner().Script(faults);
  relay_->Lead(PortOf(stranger_->endpoints().url));
}

void Outages::Watch() {
  const json seen = stage_.owner().Admin("GET", absl::StrCat("calls?since=", next_call_));
  next_call_ = seen["next"];
  for (const json& call : seen["calls"]) {
    for (size_t i = 0; i < vaults_.size(); ++i) {
      if (call["vault"] != vaults_[i].name) continue;
      calls_[i].push_back(absl::FromUnixMillis(call["unix_ms"].get<int64_t>()));
    }
  }
}

Outages::Traffic Outages::TrafficOf(const Vault& vault) const {
  std::vector<absl::Time> times = calls_[static_cast<size_t>(&vault - vaults_.data())];
  // Who does not trust the certificate never gets as far as the vault's log.
  if (vault.style == kBadTls) times = relay_->Taken();
  std::sort(times.begin(), times.end());
  Traffic traffic;
  traffic.calls = times.size();
  std::deque<absl::Time> window;
  for (const absl::Time time : times) {
    window.push_back(time);
    while (time - window.front() >= absl::Seconds(10)) window.pop_front();
    traffic.most_in_10_s = std::max(traffic.most_in_10_s, window.size());
  }
  return traffic;
}

void Outages::End() {
  relay_->Lead(PortOf(stage_.endpoints().url));
  stage_.owner().Script(json::array());
}

std::vector<std::string> MakeHubs(Stage& stage, const std::string& vault_url,
                                  const std::string& label, size_t hubs) {
  InParallel(8, std::min(hubs, kKeysPerVault),
             [&](size_t i) { stage.MakeKey(vault_url, absl::StrCat("key", i)); });
  std::vector<std::string> ids(hubs);
  InParallel(8, hubs, [&](size_t i) {
    ids[i] = absl::StrCat(label, "-", i);
    stage.MakeHub(ids[i], vault_url, absl::StrCat("key", i % kKeysPerVault));
  });
  return ids;
}

}  // namespace cmkstore::reliability
