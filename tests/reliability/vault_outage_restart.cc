// vault_outage_restart: the server starts anew while vaults do not answer, in every way at once.
//
// It must start, say that it serves, refuse each hub whose key it cannot get, show that hub all the
// same, and serve the hubs of the vaults that do answer. When the others answer again, every hub
// must be whole within a minute.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/reliability/outages.h"
#include "tests/reliability/result.h"
#include "tests/reliability/stage.h"

namespace cmkstore::reliability {
namespace {

constexpr double kStartSeconds = 10;
constexpr double kWholeSeconds = 60;
constexpr absl::Duration kOutagePatience = absl::Seconds(8);

struct Refusals {
  size_t served = 0, otherwise = 0;
};

// How hubs are refused whose vaults do not answer.
Refusals Count(const std::vector<grpc::Status>& statuses) {
  std::map<std::string, size_t> reasons;
  for (const grpc::Status& status : statuses) ++reasons[ReasonOf(status)];
  Refusals refusals;
  for (const auto& [reason, count] : reasons) {
    std::printf("during the outage: %zu hubs %s\n", count, reason.c_str());
    if (reason == "OK") {
      refusals.served += count;
    } else if (reason != "VAULT_UNREACHABLE" && reason != "VAULT_THROTTLED" &&
               reason != "DEADLINE_EXCEEDED") {
      refusals.otherwise += count;
    }
  }
  return refusals;
}

size_t Failed(const std::vector<grpc::Status>& statuses) {
  size_t failed = 0;
  for (const grpc::Status& status : statuses) failed += !status.ok();
  return failed;
}

// How long until every hub has been read once as it was.
absl::Duration UntilWhole(Stage& stage, std::vector<std::string> hubs) {
  const absl::Time began = absl::Now();
  while (!hubs.empty() && absl::Now() - began < absl::Seconds(2 * kWholeSeconds)) {
    const std::vector<grpc::Status> statuses = stage.ReadAll(hubs, absl::Seconds(5));
    std::vector<std::string> left;
    for (size_t i = 0; i < hubs.size(); ++i) {
      if (!statuses[i].ok()) left.push_back(hubs[i]);
    }
    hubs = std::move(left);
    if (!hubs.empty()) absl::SleepFor(absl::Milliseconds(500));
  }
  return absl::Now() - began;
}

int Run(size_t hubs_per_vault, const std::string& json_file) {
  Stage stage("vault_outage_restart");
  Outages outages(stage);
  const std::string answering = stage.AddVault("v-answering");
  stage.StartServer();
  std::vector<std::string> hubs;
  for (const Outages::Vault& vault : outages.vaults()) {
    for (std::string& id :
         MakeHubs(stage, vault.url, absl::StrCat("h-", vault.style), hubs_per_vault)) {
      hubs.push_back(std::move(id));
    }
  }
  const std::vector<std::string> others = MakeHubs(stage, answering, "h-answering", hubs_per_vault);
  std::printf("%zu hubs on %zu vaults that will fail, %zu on one that will not\n", hubs.size(),
              outages.vaults().size(), others.size());
  Result result("T9", "vault_outage_restart");
  result.Note("hubs on each vault", static_cast<double>(hubs_per_vault));

  outages.Begin();
  stage.StopServer();
  const absl::Time began = absl::Now();
  stage.StartServer();
  result.AtMost("seconds to start", absl::ToDoubleSeconds(absl::Now() - began), kStartSeconds);
  result.Exactly("says that it serves", stage.IsServing() ? 1 : 0, 1);
  result.Exactly("hubs of the answering vault that were refused",
                 static_cast<double>(Failed(stage.ReadAll(others, absl::Seconds(25)))), 0);
  const Refusals refusals = Count(stage.ReadAll(hubs, kOutagePatience));
  result.Exactly("hubs served without their vault", static_cast<double>(refusals.served), 0);
  result.Exactly("hubs refused for another reason", static_cast<double>(refusals.otherwise), 0);
  size_t unseen = 0, not_active = 0;
  for (const std::string& id : hubs) {
    v1::Hub hub;
    unseen += !stage.Look(id, &hub).ok();
    not_active += hub.state() != v1::Hub::ACTIVE;
  }
  result.Exactly("hubs that could not be looked at", static_cast<double>(unseen), 0);
  result.Exactly("hubs shown otherwise than ACTIVE", static_cast<double>(not_active), 0);
  result.Exactly("still says that it serves", stage.IsServing() ? 1 : 0, 1);

  outages.End();
  result.AtMost("seconds until every hub was whole", absl::ToDoubleSeconds(UntilWhole(stage, hubs)),
                kWholeSeconds);
  result.Exactly("hubs locked by the outage", stage.Metric("cmkstore_keycache_hubs", "locked"), 0);
  return result.Finish(json_file);
}

}  // namespace
}  // namespace cmkstore::reliability

int main(int argc, char** argv) {
  CLI::App app("Starts the server while its hubs' vaults fail in every way at once.");
  size_t hubs = 20;
  std::string json_file;
  app.add_option("--hubs", hubs, "On each of the six failing vaults and the answering one")
      ->capture_default_str();
  app.add_option("--json", json_file, "Where to write the result as JSON");
  CLI11_PARSE(app, argc, argv);
  return cmkstore::reliability::Run(hubs, json_file);
}
