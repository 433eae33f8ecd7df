// revocation_rounds: measures in how many seconds a hub goes dark after its key is withdrawn, and
// comes back after it is given back, at random phases of the probes.
//
// Each round has a hub, a vault and a key of its own; rounds run beside each other. Ways of
// withdrawing: the key is disabled, deleted, this server loses the permission to unwrap, or the
// vault's firewall closes. The hubs' identities log in by secret, certificate, federated token and
// managed identity; the tokens that they get are short-lived, and the federated token's file is
// replaced again and again, each time by one that outlives the next replacement only a little.
// Fails when a round exceeds the promise, or when a document is not what it was.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "tests/reliability/result.h"
#include "tests/reliability/round_options.h"
#include "tests/reliability/stage.h"

namespace cmkstore::reliability {
namespace {

using nlohmann::json;
using Kind = vault::IdentityOptions::Kind;

constexpr int kFederatedSeconds = 20;
constexpr absl::Duration kRotation = absl::Seconds(5);
// Refreshed five minutes ahead of its end: each lasts for a quarter of a minute.
constexpr int kAccessTokenSeconds = 315;

const char* const kWays[] = {"disabled", "deleted", "unwrap not permitted", "firewall closed"};
const struct {
  const char* name;
  Kind kind;
} kLogins[] = {{"secret", Kind::kClientSecret},
               {"certificate", Kind::kClientCertificate},
               {"federated", Kind::kWorkloadIdentity},
               {"imds", Kind::kManagedIdentity}};

struct Round {
  std::string hub, vault_url, way, login;
  absl::Duration phase, dark, back;
  std::string wrong;  // empty: as promised
};

// Replaces the federated token's file as a cluster's kubelet does.
class TokenRotation {
 public:
  explicit TokenRotation(Stage& stage) : stage_(stage), thread_([this] { Run(); }) {}
  ~TokenRotation() {
    ending_ = true;
    thread_.join();
  }
  size_t rotations() const { return rotations_; }

 private:
  void Run() {
    while (!ending_) {
      const std::string token = stage_.owner().Admin(
          "POST", "federated-token", {{"lifetime_seconds", kFederatedSeconds}})["token"];
      if (WriteFileDurably(stage_.endpoints().federated_token_file, token)) ++rotations_;
      for (int i = 0; i < 50 && !ending_; ++i) absl::SleepFor(kRotation / 50);
    }
  }

  Stage& stage_;
  std::atomic<bool> ending_ = false;
  std::atomic<size_t> rotations_ = 0;
  std::thread thread_;
};

json AccessOf(Stage& stage, const json& permissions) {
  return {{"access", {{stage.endpoints().client_id, permissions}}}};
}

void Withdraw(Stage& stage, const Round& round) {
  VaultOwner& owner = stage.owner();
  if (round.way == kWays[0]) {
    owner.KeyIn(round.vault_url, "PATCH", "/keys/k", {{"attributes", {{"enabled", false}}}});
  } else if (round.way == kWays[1]) {
    owner.KeyIn(round.vault_url, "DELETE", "/keys/k", json::object());
  } else if (round.way == kWays[2]) {
    owner.SetVault(round.vault_url, AccessOf(stage, {"get", "wrapKey"}));
  } else {
    owner.SetVault(round.vault_url,
                   {{"firewall", {{"default_action", "deny"}, {"ip_rules", {"10.0.0.0/8"}}}}});
  }
}

void GiveBack(Stage& stage, const Round& round) {
  VaultOwner& owner = stage.owner();
  if (round.way == kWays[0]) {
    owner.KeyIn(round.vault_url, "PATCH", "/keys/k", {{"attributes", {{"enabled", true}}}});
  } else if (round.way == kWays[1]) {
    owner.KeyIn(round.vault_url, "POST", "/deletedkeys/k/recover", json::object());
  } else if (round.way == kWays[2]) {
    owner.SetVault(round.vault_url, AccessOf(stage, {"get", "wrapKey", "unwrapKey"}));
  } else {
    owner.SetVault(round.vault_url, {{"firewall", {{"default_action", "allow"}}}});
  }
}

void Play(Stage& stage, absl::Duration promise, Round& round) {
  absl::SleepFor(round.phase);
  if (!stage.Read(round.hub).ok()) round.wrong = "not readable before its key was withdrawn";
  Withdraw(stage, round);
  round.dark = stage.Until(round.hub, /*readable=*/false);
  const std::string reason = ReasonOf(stage.Read(round.hub));
  if (reason != "CUSTOMER_KEY_REVOKED") round.wrong = absl::StrCat("dark by ", reason);
  absl::SleepFor(round.phase / 4);
  GiveBack(stage, round);
  round.back = stage.Until(round.hub, /*readable=*/true);
  if (round.dark > promise) round.wrong = "went dark too late";
  if (round.back > promise) round.wrong = "came back too late, or not as it was";
}

std::vector<Round> SetUp(Stage& stage, size_t count, const RoundOptions& options) {
  stage.SetPace(options.pace);
  for (const auto& login : kLogins) stage.AddIdentity(login.name, login.kind);
  std::mt19937 random(options.seed);
  std::vector<Round> rounds(count);
  for (size_t i = 0; i < count; ++i) {
    Round& round = rounds[i];
    round.hub = absl::StrCat("round", i);
    round.vault_url = stage.AddVault(round.hub);
    // Each way meets each login in turn.
    round.way = kWays[(i + i / std::size(kLogins)) % std::size(kWays)];
    round.login = kLogins[i % std::size(kLogins)].name;
    round.phase = options.Phase(random);
  }
  stage.StartServer();
  stage.owner().Admin("PUT", "tokens", {{"lifetime_seconds", kAccessTokenSeconds}});
  InParallel(4, count, [&](size_t i) {
    stage.MakeKey(rounds[i].vault_url, "k");
    stage.MakeHub(rounds[i].hub, rounds[i].vault_url, "k", rounds[i].login);
  });
  return rounds;
}

int Run(size_t count, const RoundOptions& options) {
  const absl::Duration promise = options.promise();
  Stage stage("revocation_rounds");
  TokenRotation rotation(stage);
  std::vector<Round> rounds = SetUp(stage, count, options);
  InParallel(count, count, [&](size_t i) { Play(stage, promise, rounds[i]); });
  int failed = 0;
  absl::Duration dark, back;
  std::printf("round   phase    dark    back  login        withdrawn by\n");
  for (size_t i = 0; i < count; ++i) {
    const Round& round = rounds[i];
    std::printf("%5zu  %5.1f s %5.1f s %5.1f s  %-11s  %s%s%s\n", i,
                absl::ToDoubleSeconds(round.phase), absl::ToDoubleSeconds(round.dark),
                absl::ToDoubleSeconds(round.back), round.login.c_str(), round.way.c_str(),
                round.wrong.empty() ? "" : ": ", round.wrong.c_str());
    dark = std::max(dark, round.dark);
    back = std::max(back, round.back);
    failed += round.wrong.empty() ? 0 : 1;
  }
  Result result("T10", "revocation_rounds");
  const json stats = stage.owner().Admin("GET", "stats");
  result.Note("rounds", static_cast<double>(count));
  result.Note("seed of the phases", options.seed);
  result.Note("logins of the server and of callers", stats.value("token", 0.0));
  result.Note("logins by managed identity", stats.value("imds", 0.0));
  result.Note("times that the federated token was replaced",
              static_cast<double>(rotation.rotations()));
  result.AtMost("longest seconds until dark", absl::ToDoubleSeconds(dark),
                absl::ToDoubleSeconds(promise));
  result.AtMost("longest seconds until back", absl::ToDoubleSeconds(back),
                absl::ToDoubleSeconds(promise));
  result.Exactly("rounds that went otherwise than promised", failed, 0);
  return result.Finish(options.json_file);
}

}  // namespace
}  // namespace cmkstore::reliability

int main(int argc, char** argv) {
  CLI::App app(
      "Measures in how many seconds a withdrawn key darkens its hub, and a returned one heals it.");
  size_t rounds = 20;
  cmkstore::reliability::RoundOptions options;
  app.add_option("--rounds", rounds, "Hubs, each withdrawn and given back once")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  options.Declare(app);
  CLI11_PARSE(app, argc, argv);
  return cmkstore::reliability::Run(rounds, options);
}
