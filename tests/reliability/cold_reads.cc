// cold_reads: a server without a key in memory is asked for everything at once.
//
// First one hub, by 10,000 concurrent reads: its vault must see one unwrap. Then every hub at once:
// one unwrap each, and never more than 64 calls under way. Probes of keys that are in use by then
// are told apart by the server's own count of them.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/reliability/result.h"
#include "tests/reliability/stage.h"

namespace cmkstore::reliability {
namespace {

constexpr size_t kKeysPerVault = 2;
constexpr double kMostAtOnce = 64;
constexpr absl::Duration kPatience = absl::Seconds(28);

std::vector<std::string> MakeHubs(Stage& stage, const std::vector<std::string>& vaults,
                                  size_t count) {
  InParallel(8, vaults.size() * kKeysPerVault, [&](size_t i) {
    stage.MakeKey(vaults[i % vaults.size()], absl::StrCat("key", i / vaults.size()));
  });
  std::vector<std::string> hubs(count);
  InParallel(8, count, [&](size_t i) {
    hubs[i] = absl::StrCat("h", i);
    stage.MakeHub(hubs[i], vaults[i % vaults.size()],
                  absl::StrCat("key", i / vaults.size() % kKeysPerVault));
  });
  return hubs;
}

void Restart(Stage& stage) {
  stage.StopServer();
  stage.StartServer();
  stage.owner().Admin("DELETE", "stats");
}

// Unwraps that the vaults have seen, without the probes among them.
double Unwraps(Stage& stage) {
  const double seen = stage.owner().UnwrapCalls();
  return seen - stage.Metric("cmkstore_keycache_probes_total");
}

double MostAtOnce(Stage& stage) {
  return stage.owner().Admin("GET", "calls?since=999999999999")["most_at_once"];
}

void ReadOneHub(Stage& stage, const std::string& hub, size_t reads, Result& result) {
  Restart(stage);
  // Long enough for all reads to be there while the one unwrap is under way.
  stage.owner().Script({{{"operation", "unwrapkey"}, {"delay_ms", 2'500}, {"count", 1}}});
  size_t failed = 0;
  for (const grpc::Status& status :
       stage.ReadAll(std::vector<std::string>(reads, hub), kPatience)) {
    failed += !status.ok();
  }
  result.Note("concurrent reads of one cold hub", static_cast<double>(reads));
  result.Exactly("reads that failed", static_cast<double>(failed), 0);
  result.Exactly("unwraps for it", Unwraps(stage), 1);
  result.Note("reads that found the unwrap under way",
              stage.Metric("cmkstore_keycache_waits_total", "joined"));
}

void ReadEveryHub(Stage& stage, const std::vector<std::string>& hubs, Result& result) {
  Restart(stage);
  const absl::Time began = absl::Now();
  std::vector<std::string> left = hubs;
  // A caller asks again where its time was too short; its hub's unwrap goes on meanwhile.
  for (int attempt = 0; attempt < 10 && !left.empty(); ++attempt) {
    const std::vector<grpc::Status> statuses = stage.ReadAll(left, kPatience);
    std::vector<std::string> again;
    for (size_t i = 0; i < left.size(); ++i) {
      if (!statuses[i].ok()) again.push_back(left[i]);
    }
    left = std::move(again);
    std::printf("%zu of %zu cold hubs served after %.1f s\n", hubs.size() - left.size(),
                hubs.size(), absl::ToDoubleSeconds(absl::Now() - began));
  }
  result.Note("cold hubs read at once", static_cast<double>(hubs.size()));
  result.Note("seconds until all were served", absl::ToDoubleSeconds(absl::Now() - began));
  result.Exactly("hubs that were not served", static_cast<double>(left.size()), 0);
  result.Exactly("unwraps for them", Unwraps(stage), static_cast<double>(hubs.size()));
  result.AtMost("most calls to vaults at once", MostAtOnce(stage), kMostAtOnce);
}

int Run(size_t hub_count, size_t hubs_per_vault, size_t reads, const std::string& json_file) {
  Stage stage("cold_reads");
  std::vector<std::string> vaults;
  for (size_t i = 0; i < (hub_count + hubs_per_vault - 1) / hubs_per_vault; ++i) {
    vaults.push_back(stage.AddVault(absl::StrCat("v", i)));
  }
  stage.StartServer();
  const std::vector<std::string> hubs = MakeHubs(stage, vaults, hub_count);
  std::printf("%zu hubs on %zu vaults\n", hubs.size(), vaults.size());
  Result result("T11", "cold_reads");
  ReadOneHub(stage, hubs.front(), reads, result);
  ReadEveryHub(stage, hubs, result);
  return result.Finish(json_file);
}

}  // namespace
}  // namespace cmkstore::reliability

int main(int argc, char** argv) {
  CLI::App app("Reads cold hubs at once: as many unwraps as hubs, no more.");
  size_t hubs = 300;
  size_t hubs_per_vault = 100;
  size_t reads = 10'000;
  std::string json_file;
  app.add_option("--hubs", hubs, "Cold hubs")->capture_default_str();
  app.add_option("--hubs-per-vault", hubs_per_vault, "How many of them share a vault")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--reads", reads, "Concurrent reads of one of them")->capture_default_str();
  app.add_option("--json", json_file, "Where to write the result as JSON");
  CLI11_PARSE(app, argc, argv);
  return cmkstore::reliability::Run(hubs, hubs_per_vault, reads, json_file);
}
