// revocation_rounds: measures in how many seconds a hub goes dark after its key is withdrawn, and
// comes back after it is given back, at random phases of the probes.
//
// Runs the real server in process, with the real defaults of its key cache, on a local vault over
// HTTPS. Each round has a hub and a key of its own; rounds run beside each other. Ways of
// withdrawing: the key is disabled, deleted, or its permitted operations lack unwrapKey. Fails when
// a round exceeds the promise, or when a document is not what it was.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "service/dev_credentials.h"
#include "service/server.h"
#include "tests/e2e/vault_owner.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore {
namespace {

constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";
constexpr absl::Duration kPromise = absl::Seconds(45);
constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr absl::Duration kGiveUp = absl::Seconds(120);

const char* const kWays[] = {"disabled", "deleted", "unwrapKey taken from key_ops"};

struct Round {
  std::string way;
  absl::Duration phase, dark, back;
  std::string wrong;  // empty: as promised
};

class Service {
 public:
  explicit Service(double pace) {
    SetLogFile(dir_.path() + "/log.jsonl");
    dev_vault::DevVaultOptions vault;
    vault.state_dir = dir_.path() + "/vault";
    vault_ = *dev_vault::DevVault::Start(vault, clock_);
    owner_ = std::make_unique<VaultOwner>(vault_->endpoints());
    service::ServerOptions options;
    options.data_dir = dir_.path() + "/data";
    options.keys.probe_interval /= pace;
    options.keys.unhealthy_probe_interval /= pace;
    options.keys.confirm_delay /= pace;
    options.keys.negative_lifetime /= pace;
    const auto minted = service::MintDevCredentials(options.data_dir, kTenant, clock_);
    credentials_ = minted->directory;
    options.issuers = {minted->issuer};
    const dev_vault::DevVaultEndpoints& endpoints = vault_->endpoints();
    options.vault_ca_file = endpoints.ca_file;
    options.vault_addresses.allowed_hosts = {endpoints.url.substr(8)};
    vault::IdentityOptions identity;
    identity.kind = vault::IdentityOptions::Kind::kClientSecret;
    identity.authority = endpoints.authority;
    identity.tenant_id = endpoints.tenant_id;
    identity.client_id = endpoints.client_id;
    identity.secret_file = endpoints.secret_file;
    options.identities.emplace_back("", identity);
    auto started = service::Server::Start(std::move(options), clock_);
    if (!started.ok()) {
      std::fprintf(stderr, "revocation_rounds: %s\n", started.status().ToString().c_str());
      std::exit(2);
    }
    server_ = *std::move(started);
    documents_ = v1::DocumentService::NewStub(server_->InProcessChannel());
  }

  VaultOwner& owner() { return *owner_; }

  // A hub with a key, a project and one document of its own; what went wrong, or nothing.
  std::string SetUp(const std::string& id) {
    owner_->Key("POST", absl::StrCat("/keys/", id, "/create"),
                {{"kty", "RSA"}, {"key_size", 2048}});
    v1::CreateHubRequest hub;
    hub.set_parent(absl::StrCat("tenants/", kTenant));
    hub.set_hub_id(id);
    auto& key = *hub.mutable_hub()->mutable_encryption()->mutable_customer_managed();
    key.set_vault_uri(vault_->endpoints().url);
    key.set_key_name(id);
    v1::Hub made;
    grpc::Status status = v1::HubService::NewStub(server_->InProcessChannel())
                              ->CreateHub(As("owner").get(), hub, &made);
    if (!status.ok()) return status.error_message();
    v1::CreateProjectRequest project;
    project.set_parent(absl::StrCat("tenants/", kTenant, "/hubs/", id));
    project.set_project_id("p");
    v1::Project made_project;
    status = v1::ProjectService::NewStub(server_->InProcessChannel())
                 ->CreateProject(As("owner").get(), project, &made_project);
    if (!status.ok()) return status.error_message();
    v1::UpdateDocumentRequest put;
    put.mutable_document()->set_name(NameIn(id));
    put.mutable_document()->set_content(absl::StrCat("{\"hub\": \"", id, "\"}"));
    put.set_allow_missing(true);
    v1::Document stored;
    return documents_->UpdateDocument(As("contributor").get(), put, &stored).error_message();
  }
  // Whether the hub's document can be read, as it was.
  bool Reads(const std::string& id) {
    v1::GetDocumentRequest get;
    get.set_name(NameIn(id));
    v1::Document found;
    return documents_->GetDocument(As("reader").get(), get, &found).ok() &&
           found.content() == absl::StrCat("{\"hub\": \"", id, "\"}");
  }
  // How long until Reads(id) is `wanted`.
  absl::Duration Until(const std::string& id, bool wanted) {
    const absl::Time began = absl::Now();
    while (Reads(id) != wanted && absl::Now() - began < kGiveUp) absl::SleepFor(kLook);
    return absl::Now() - began;
  }

 private:
  static std::string NameIn(const std::string& id) {
    return absl::StrCat("tenants/", kTenant, "/hubs/", id, "/projects/p/collections/c/documents/d");
  }
  std::unique_ptr<grpc::ClientContext> As(const std::string& role) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *ReadFile(credentials_ + "/" + role + ".token"));
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }

  testing::TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<dev_vault::DevVault> vault_;
  std::unique_ptr<VaultOwner> owner_;
  std::unique_ptr<service::Server> server_;
  std::string credentials_;
  std::unique_ptr<v1::DocumentService::Stub> documents_;
};

void Withdraw(VaultOwner& owner, const std::string& key, size_t way) {
  const std::string path = absl::StrCat("/keys/", key);
  if (way == 0) owner.Key("PATCH", path, {{"attributes", {{"enabled", false}}}});
  if (way == 1) owner.Key("DELETE", path, nlohmann::json::object());
  if (way == 2) owner.Key("PATCH", path, {{"key_ops", {"wrapKey"}}});
}

void GiveBack(VaultOwner& owner, const std::string& key, size_t way) {
  const std::string path = absl::StrCat("/keys/", key);
  if (way == 0) owner.Key("PATCH", path, {{"attributes", {{"enabled", true}}}});
  if (way == 1) {
    owner.Key("POST", absl::StrCat("/deletedkeys/", key, "/recover"), nlohmann::json::object());
  }
  if (way == 2) owner.Key("PATCH", path, {{"key_ops", {"wrapKey", "unwrapKey"}}});
}

Round Play(Service& service, size_t number, absl::Duration phase, absl::Duration promise) {
  const std::string id = absl::StrCat("round", number);
  const size_t way = number % std::size(kWays);
  Round round{kWays[way], phase, {}, {}, ""};
  absl::SleepFor(phase);
  if (!service.Reads(id)) round.wrong = "not readable before its key was withdrawn";
  Withdraw(service.owner(), id, way);
  round.dark = service.Until(id, false);
  absl::SleepFor(phase / 4);
  GiveBack(service.owner(), id, way);
  round.back = service.Until(id, true);
  if (round.dark > promise) round.wrong = "went dark too late";
  if (round.back > promise) round.wrong = "came back too late, or not as it was";
  return round;
}

int Run(size_t rounds, double pace, uint32_t seed) {
  const absl::Duration promise = kPromise / pace;
  Service service(pace);
  for (size_t i = 0; i < rounds; ++i) {
    if (const std::string wrong = service.SetUp(absl::StrCat("round", i)); !wrong.empty()) {
      std::fprintf(stderr, "revocation_rounds: %s\n", wrong.c_str());
      return 2;
    }
  }
  std::mt19937 random(seed);
  std::vector<absl::Duration> phases;
  for (size_t i = 0; i < rounds; ++i) {
    phases.push_back(absl::Milliseconds(random() % 36'000) / pace);
  }
  std::vector<Round> played(rounds);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < rounds; ++i) {
    threads.emplace_back([&, i] { played[i] = Play(service, i, phases[i], promise); });
  }
  for (std::thread& thread : threads) thread.join();
  int failed = 0;
  absl::Duration dark, back;
  std::printf("round   phase    dark    back  withdrawn by\n");
  for (size_t i = 0; i < rounds; ++i) {
    const Round& round = played[i];
    std::printf("%5zu  %5.1f s %5.1f s %5.1f s  %s%s%s\n", i, absl::ToDoubleSeconds(round.phase),
                absl::ToDoubleSeconds(round.dark), absl::ToDoubleSeconds(round.back),
                round.way.c_str(), round.wrong.empty() ? "" : ": ", round.wrong.c_str());
    dark = std::max(dark, round.dark);
    back = std::max(back, round.back);
    failed += round.wrong.empty() ? 0 : 1;
  }
  std::printf(
      "longest: dark after %.1f s, back after %.1f s; promised %.1f s; seed %u; %d failed\n",
      absl::ToDoubleSeconds(dark), absl::ToDoubleSeconds(back), absl::ToDoubleSeconds(promise),
      seed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace cmkstore

int main(int argc, char** argv) {
  CLI::App app(
      "Measures in how many seconds a withdrawn key darkens its hub, and a returned one heals it.");
  size_t rounds = 20;
  double pace = 1;
  uint32_t seed = std::random_device()();
  app.add_option("--rounds", rounds, "Hubs, each withdrawn and given back once")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  app.add_option("--pace", pace,
                 "How many times faster than the defaults the cache asks; the promise shrinks too")
      ->check(CLI::Range(1.0, 10.0))
      ->capture_default_str();
  app.add_option("--seed", seed, "Of the phases; random if not given");
  CLI11_PARSE(app, argc, argv);
  return cmkstore::Run(rounds, pace, seed);
}
