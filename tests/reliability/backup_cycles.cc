// backup_cycles: backs a server up under load, restores each backup elsewhere, and compares what is
// there with a model.
//
// Writers put and delete documents one after the other, over hubs in different shards, under
// customers' keys and the platform's. A backup must hold, of each writer, exactly what its first k
// writes leave behind, in all hubs at once, where k lies between what was acknowledged before the
// backup was asked for and what was begun before it was done. Restores are offline and online in
// turn. Fails at the first difference, and at any finding of VerifyIntegrity in what was restored.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "service/backup/restore.h"
#include "service/dev_credentials.h"
#include "service/server.h"
#include "tests/e2e/vault_owner.h"
#include "tests/reliability/result.h"
#include "tests/testing/await_operation.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/use_dev_vault.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore {
namespace {

namespace lro = google::longrunning;

constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";
constexpr uint32_t kShards = 3;
constexpr size_t kHubs = 4, kWriters = 3, kDocuments = 12;  // documents of a writer, over all hubs

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "backup_cycles: %s\n", what.c_str());
  std::_Exit(1);
}

void Require(const grpc::Status& status, const std::string& what) {
  if (!status.ok()) Fail(absl::StrCat(what, ": ", status.error_message()));
}

std::string HubName(size_t hub) { return absl::StrCat("tenants/", kTenant, "/hubs/h", hub); }

// The write `number` (from 1) of a writer: which document, and what stands there afterwards.
struct Write {
  size_t document = 0;
  std::optional<std::string> content;  // nullopt: deleted
};
Write WriteOf(size_t writer, uint64_t number) {
  const size_t document = static_cast<size_t>(number * 7 % kDocuments);
  if (number % 5 == 0) return {document, std::nullopt};
  return {document, absl::StrCat("{\"writer\":", writer, ",\"write\":", number, ",\"fill\":\"",
                                 std::string(number % 11 * 100, 'x'), "\"}")};
}
std::string DocumentName(size_t writer, size_t document) {
  return absl::StrCat(HubName(document % kHubs), "/projects/p/collections/c/documents/w", writer,
                      "-", document);
}

using State = std::array<std::optional<std::string>, kDocuments>;

State AfterWrites(size_t writer, uint64_t count) {
  State state;
  for (uint64_t number = 1; number <= count; ++number) {
    const Write write = WriteOf(writer, number);
    state[write.document] = write.content;
  }
  return state;
}

class Site {
 public:
  Site() {
    SetLogFile(dir_.path() + "/log.jsonl");
    dev_vault::DevVaultOptions vault;
    vault.state_dir = dir_.path() + "/vault";
    vault_ = *dev_vault::DevVault::Start(vault, clock_);
    VaultOwner(vault_->endpoints())
        .Key("POST", "/keys/k1/create", {{"kty", "RSA"}, {"key_size", 2048}});
    credentials_ = *service::MintDevCredentials(dir_.path(), kTenant, clock_);
    backup_.directory = dir_.path() + "/backups";
    backup_.bytes_per_second = 0;
    backup_.keep = 3;
    std::filesystem::create_directory(backup_.directory);
  }

  std::string Path(const std::string& data) const { return dir_.path() + "/" + data; }
  const service::BackupOptions& backup() const { return backup_; }
  Clock& clock() { return clock_; }

  std::unique_ptr<service::Server> Start(const std::string& data) {
    service::ServerOptions options;
    options.data_dir = Path(data);
    options.shards.shards = kShards;
    options.operator_tenant = kTenant;
    options.backup = backup_;
    options.issuers = {credentials_.issuer};
    testing::UseDevVault(vault_->endpoints(), options);
    auto started = service::Server::Start(std::move(options), clock_);
    if (!started.ok()) Fail(started.status().ToString());
    return *std::move(started);
  }
  std::unique_ptr<grpc::ClientContext> As(const std::string& role) const {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *ReadFile(credentials_.directory + "/" + role + ".token"));
    context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(25)));
    return context;
  }
  void MakeHubs(service::Server& server) {
    for (size_t hub = 0; hub < kHubs; ++hub) {
      v1::CreateHubRequest request;
      request.set_parent(absl::StrCat("tenants/", kTenant));
      request.set_hub_id(absl::StrCat("h", hub));
      auto& encryption = *request.mutable_hub()->mutable_encryption();
      if (hub % 2 == 0) {
        encryption.mutable_customer_managed()->set_vault_uri(vault_->endpoints().url);
        encryption.mutable_customer_managed()->set_key_name("k1");
      } else {
        encryption.mutable_platform_managed();
      }
      v1::Hub made;
      Require(v1::HubService::NewStub(server.InProcessChannel())
                  ->CreateHub(As("owner").get(), request, &made),
              "CreateHub");
      v1::CreateProjectRequest project;
      project.set_parent(HubName(hub));
      project.set_project_id("p");
      v1::Project made_project;
      Require(v1::ProjectService::NewStub(server.InProcessChannel())
                  ->CreateProject(As("owner").get(), project, &made_project),
              "CreateProject");
    }
  }
  template <typename Result>
  Result Await(service::Server& server, lro::Operation operation) const {
    Require(testing::AwaitOperation(
                server.InProcessChannel(), [this] { return As("operator"); }, operation),
            "WaitOperation");
    if (operation.has_error()) Fail(operation.error().message());
    Result result;
    operation.response().UnpackTo(&result);
    return result;
  }

 private:
  testing::TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<dev_vault::DevVault> vault_;
  service::DevCredentials credentials_;
  service::BackupOptions backup_;
};

// One writer: its writes follow each other, each acknowledged before the next.
class Writer {
 public:
  Writer(const Site& site, service::Server& server, size_t number)
      : number_(number), thread_([this, &site, &server] { Run(site, server); }) {}
  ~Writer() {
    stop_ = true;
    thread_.join();
  }
  uint64_t begun() const { return begun_; }
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  void Run(const Site& site, service::Server& server) {
    const auto documents = v1::DocumentService::NewStub(server.InProcessChannel());
    while (!stop_) {
      const uint64_t number = ++begun_;
      const Write write = WriteOf(number_, number);
      const std::string name = DocumentName(number_, write.document);
      if (write.content.has_value()) {
        v1::UpdateDocumentRequest put;
        put.mutable_document()->set_name(name);
        put.mutable_document()->set_content(*write.content);
        put.set_allow_missing(true);
        v1::Document stored;
        Require(documents->UpdateDocument(site.As("contributor").get(), put, &stored), "put");
      } else {
        v1::DeleteDocumentRequest remove;
        remove.set_name(name);
        remove.set_allow_missing(true);
        v1::DeleteDocumentResponse nothing;
        Require(documents->DeleteDocument(site.As("contributor").get(), remove, &nothing),
                "delete");
      }
      acknowledged_ = number;
    }
  }

  const size_t number_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> begun_{0}, acknowledged_{0};
  std::thread thread_;
};

State ReadState(const Site& site, service::Server& server, size_t writer) {
  const auto documents = v1::DocumentService::NewStub(server.InProcessChannel());
  State state;
  for (size_t document = 0; document < kDocuments; ++document) {
    v1::GetDocumentRequest get;
    get.set_name(DocumentName(writer, document));
    v1::Document found;
    const grpc::Status status = documents->GetDocument(site.As("reader").get(), get, &found);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) continue;
    Require(status, "get");
    state[document] = found.content();
  }
  return state;
}

struct Window {
  uint64_t least = 0, most = 0;
};

void Compare(const Site& site, service::Server& restored, const std::vector<Window>& windows) {
  for (size_t writer = 0; writer < windows.size(); ++writer) {
    const State found = ReadState(site, restored, writer);
    State model = AfterWrites(writer, windows[writer].least);
    bool equal = model == found;
    for (uint64_t k = windows[writer].least + 1; !equal && k <= windows[writer].most; ++k) {
      const Write write = WriteOf(writer, k);
      model[write.document] = write.content;
      equal = model == found;
    }
    if (!equal) {
      Fail(absl::StrCat("what is restored of writer ", writer, " is no moment between its writes ",
                        windows[writer].least, " and ", windows[writer].most));
    }
  }
}

std::unique_ptr<service::Server> RestoreElsewhere(Site& site, const std::string& name, int cycle,
                                                  const std::string& data) {
  std::filesystem::create_directory(site.Path(data));
  std::filesystem::copy_file(site.Path("data/platform.key"), site.Path(data + "/platform.key"));
  if (cycle % 2 == 0) {
    const auto staged = service::RestoreOffline(
        site.backup(), name.substr(8), {site.Path(data), kShards}, site.clock(),
        {[] { return absl::OkStatus(); }, [](uint64_t, uint64_t) {}});
    if (!staged.ok()) Fail(staged.status().ToString());
    return site.Start(data);
  }
  std::unique_ptr<service::Server> server = site.Start(data);
  v1::RestoreRequest request;
  request.set_name(name);
  lro::Operation operation;
  Require(v1::AdminService::NewStub(server->InProcessChannel())
              ->Restore(site.As("operator").get(), request, &operation),
          "Restore");
  if (site.Await<v1::RestoreResult>(*server, operation).hubs() != kHubs) Fail("hubs are missing");
  return server;
}

// What one cycle took, beside being equal to the model.
struct Cycle {
  absl::Duration backup, restore;
  uint64_t writes_meanwhile = 0;  // begun while the backup was made, of all writers
  uint64_t backup_bytes = 0;
};

Cycle RunCycle(Site& site, service::Server& server,
               const std::vector<std::unique_ptr<Writer>>& writers, int cycle) {
  Cycle measured;
  const absl::Time began = absl::Now();
  std::vector<Window> windows;
  for (const auto& writer : writers) windows.push_back({writer->acknowledged(), 0});
  lro::Operation operation;
  Require(v1::AdminService::NewStub(server.InProcessChannel())
              ->Backup(site.As("operator").get(), {}, &operation),
          "Backup");
  const v1::Backup backup = site.Await<v1::Backup>(server, operation);
  for (size_t i = 0; i < writers.size(); ++i) {
    windows[i].most = writers[i]->begun();
    measured.writes_meanwhile += windows[i].most - windows[i].least;
  }
  const absl::Time written = absl::Now();

  const std::string data = absl::StrCat("restored-", cycle);
  std::unique_ptr<service::Server> restored = RestoreElsewhere(site, backup.name(), cycle, data);
  measured.backup = written - began;
  measured.restore = absl::Now() - written;
  measured.backup_bytes = backup.size_bytes();
  Compare(site, *restored, windows);
  Require(v1::AdminService::NewStub(restored->InProcessChannel())
              ->VerifyIntegrity(site.As("operator").get(), {}, &operation),
          "VerifyIntegrity");
  const auto found = site.Await<v1::VerifyIntegrityResult>(*restored, operation);
  if (found.finding_count() > 0) Fail("in what was restored: " + found.findings(0).what());
  std::printf("cycle %d: %s, %llu bytes, of which new %llu; restored %s\n", cycle,
              backup.name().c_str(), static_cast<unsigned long long>(backup.size_bytes()),
              static_cast<unsigned long long>(backup.new_bytes()),
              cycle % 2 == 0 ? "offline" : "online");
  std::fflush(stdout);
  restored.reset();
  std::filesystem::remove_all(site.Path(data));
  return measured;
}

int Run(int cycles, const std::string& json_file) {
  Site site;
  const std::unique_ptr<service::Server> server = site.Start("data");
  site.MakeHubs(*server);
  std::vector<std::unique_ptr<Writer>> writers;
  for (size_t i = 0; i < kWriters; ++i) {
    writers.push_back(std::make_unique<Writer>(site, *server, i));
  }
  Cycle longest;
  int equal = 0, under_load = 0;
  for (; equal < cycles; ++equal) {
    const Cycle one = RunCycle(site, *server, writers, equal);
    under_load += one.writes_meanwhile > 0 ? 1 : 0;
    longest.backup = std::max(longest.backup, one.backup);
    longest.restore = std::max(longest.restore, one.restore);
    longest.backup_bytes = std::max(longest.backup_bytes, one.backup_bytes);
  }
  uint64_t writes = 0;
  for (const auto& writer : writers) writes += writer->acknowledged();
  reliability::Result result("T19", "backup_cycles");
  result.Exactly("cycles restored equal to the model, without a finding", equal, cycles);
  result.Exactly("cycles in which writes went on during the backup", under_load, cycles);
  result.Note("writes acknowledged meanwhile", static_cast<double>(writes));
  result.Note("longest backup, verified (s)", absl::ToDoubleSeconds(longest.backup));
  result.Note("longest restore, until it serves (s)", absl::ToDoubleSeconds(longest.restore));
  result.Note("largest backup (bytes)", static_cast<double>(longest.backup_bytes));
  return result.Finish(json_file);
}

}  // namespace
}  // namespace cmkstore

int main(int argc, char** argv) {
  CLI::App app("backup_cycles: backup under load, restore elsewhere, compare with a model.");
  int cycles = 100;
  std::string json_file;
  app.add_option("--cycles", cycles, "How often (100)")->check(CLI::PositiveNumber);
  app.add_option("--json", json_file, "Where to write the result as JSON");
  CLI11_PARSE(app, argc, argv);
  return cmkstore::Run(cycles, json_file);
}
