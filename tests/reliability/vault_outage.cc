// vault_outage: vaults stop answering in every way at once, while hubs on them are in use.
//
// One vault for each of: hang, reset, 500, 503, 429, a certificate that nobody trusts. The hubs are
// warm when it begins. Reads and writes go on all the time; none may fail, and no vault may be
// asked more than twice a second. Then the vaults answer again, and every hub must be what it was.

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/reliability/outages.h"
#include "tests/reliability/result.h"
#include "tests/reliability/stage.h"

namespace cmkstore::reliability {
namespace {

constexpr size_t kCallers = 4;
constexpr double kCallsPerSecond = 2;  // to one vault
constexpr absl::Duration kBetweenCalls = absl::Milliseconds(10);
constexpr absl::Duration kHealTime = absl::Seconds(45);

// Reads, and each tenth time writes, a hub at random, until told to end.
class Callers {
 public:
  Callers(Stage& stage, const std::vector<std::string>& hubs) : stage_(stage), hubs_(hubs) {
    for (size_t i = 0; i < kCallers; ++i) threads_.emplace_back([this, i] { Run(i); });
  }
  ~Callers() { End(); }
  void End() {
    ending_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  size_t done() const { return done_; }
  size_t failed() const { return failed_; }

 private:
  void Run(size_t seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    while (!ending_) {
      const std::string& hub = hubs_[random() % hubs_.size()];
      const grpc::Status status = random() % 10 == 0 ? stage_.Write(hub) : stage_.Read(hub);
      ++done_;
      if (!status.ok() && ++failed_ <= 10) {
        std::printf("a call to %s failed: %s\n", hub.c_str(), ReasonOf(status).c_str());
      }
      absl::SleepFor(kBetweenCalls);
    }
  }

  Stage& stage_;
  const std::vector<std::string>& hubs_;
  std::atomic<bool> ending_ = false;
  std::atomic<size_t> done_ = 0, failed_ = 0;
  std::vector<std::thread> threads_;
};

// How long until the key cache knows every vault key as available again.
absl::Duration UntilHealed(Stage& stage) {
  const absl::Time began = absl::Now();
  const char name[] = "cmkstore_keycache_vault_keys";
  while (stage.Metric(name, "unreachable") > 0 && absl::Now() - began < 2 * kHealTime) {
    absl::SleepFor(absl::Milliseconds(100));
  }
  return absl::Now() - began;
}

int Run(size_t hubs_per_vault, double seconds, double pace, const std::string& json_file) {
  Stage stage("vault_outage");
  stage.SetPace(pace);
  Outages outages(stage);
  stage.StartServer();
  std::vector<std::string> hubs;
  for (const Outages::Vault& vault : outages.vaults()) {
    for (std::string& id :
         MakeHubs(stage, vault.url, absl::StrCat("h-", vault.style), hubs_per_vault)) {
      hubs.push_back(std::move(id));
    }
  }
  std::printf("%zu hubs on %zu vaults\n", hubs.size(), outages.vaults().size());
  Result result("T8", "vault_outage");
  result.Note("hubs on each vault", static_cast<double>(hubs_per_vault));
  size_t cold = 0;
  for (const grpc::Status& status : stage.ReadAll(hubs, absl::Seconds(25))) cold += !status.ok();
  result.Exactly("hubs that could not be read before", static_cast<double>(cold), 0);

  outages.Begin();
  Callers callers(stage, hubs);
  const absl::Time began = absl::Now();
  while (absl::Now() - began < absl::Seconds(seconds)) {
    absl::SleepFor(absl::Milliseconds(500));
    outages.Watch();
  }
  const double unreachable = stage.Metric("cmkstore_keycache_vault_keys", "unreachable");
  size_t dark = 0;
  for (const grpc::Status& status : stage.ReadAll(hubs, absl::Seconds(25))) dark += !status.ok();
  const double lasted = absl::ToDoubleSeconds(absl::Now() - began);
  std::vector<Outages::Traffic> traffic;
  outages.Watch();
  for (const Outages::Vault& vault : outages.vaults()) traffic.push_back(outages.TrafficOf(vault));
  outages.End();
  const absl::Duration healed = UntilHealed(stage);
  callers.End();

  result.Note("seconds of outage", lasted);
  result.AtLeast("vault keys known to be unreachable at its end", unreachable,
                 static_cast<double>(outages.vaults().size()));
  result.Note("calls of callers", static_cast<double>(callers.done()));
  result.Exactly("calls of callers that failed", static_cast<double>(callers.failed()), 0);
  result.Exactly("hubs that could not be read at its end", static_cast<double>(dark), 0);
  for (size_t i = 0; i < traffic.size(); ++i) {
    const std::string& style = outages.vaults()[i].style;
    result.AtMost(absl::StrCat("calls a second to the vault of style ", style),
                  static_cast<double>(traffic[i].calls) / lasted, kCallsPerSecond);
    result.AtMost(absl::StrCat("most calls to it in 10 s, ", style),
                  static_cast<double>(traffic[i].most_in_10_s), 10 * kCallsPerSecond);
  }
  result.AtMost("seconds until all keys were available again", absl::ToDoubleSeconds(healed),
                absl::ToDoubleSeconds(kHealTime));
  result.Exactly("hubs locked by the outage", stage.Metric("cmkstore_keycache_hubs", "locked"), 0);
  size_t changed = 0;
  for (const grpc::Status& status : stage.ReadAll(hubs, absl::Seconds(25))) changed += !status.ok();
  result.Exactly("hubs that are not what they were", static_cast<double>(changed), 0);
  return result.Finish(json_file);
}

}  // namespace
}  // namespace cmkstore::reliability

int main(int argc, char** argv) {
  CLI::App app("Serves hubs in use while their vaults fail in every way at once.");
  size_t hubs = 20;
  double seconds = 25;
  double pace = 1;
  std::string json_file;
  app.add_option("--hubs", hubs, "On each of the six vaults")->capture_default_str();
  app.add_option("--seconds", seconds, "How long the outage lasts")->capture_default_str();
  app.add_option("--pace", pace, "How many times faster than its defaults the key cache asks")
      ->check(CLI::Range(1.0, 10.0))
      ->capture_default_str();
  app.add_option("--json", json_file, "Where to write the result as JSON");
  CLI11_PARSE(app, argc, argv);
  return cmkstore::reliability::Run(hubs, seconds, pace, json_file);
}
