// cmkstore_golden_data OUT: writes a golden data directory as this version writes it, with a backup
// of it and what must be read from both (tests/golden/data/README.md).

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/key_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "tests/e2e/vault_owner.h"
#include "tests/testing/await_operation.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/use_dev_vault.h"
#include "tests/upgrade/golden_server.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::upgrade {
namespace {

namespace fs = std::filesystem;
constexpr int kDocuments = 12;

void Require(const grpc::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.error_message().c_str());
  std::_Exit(1);
}

void Await(GoldenServer& server, const std::string& role,
           google::longrunning::Operation operation) {
  Require(testing::AwaitOperation(
              server.channel(), [&] { return server.As(role); }, operation),
          "WaitOperation");
}

void MakeHub(GoldenServer& server, const std::string& id, const v1::Encryption& encryption) {
  v1::CreateHubRequest hub;
  hub.set_parent(absl::StrCat("tenants/", kTenant));
  hub.set_hub_id(id);
  hub.mutable_hub()->set_display_name(id);
  *hub.mutable_hub()->mutable_encryption() = encryption;
  v1::Hub made;
  Require(
      v1::HubService::NewStub(server.channel())->CreateHub(server.As("owner").get(), hub, &made),
      "CreateHub");
  v1::CreateProjectRequest project;
  project.set_parent(absl::StrCat("tenants/", kTenant, "/hubs/", id));
  project.set_project_id("p1");
  v1::Project made_project;
  Require(v1::ProjectService::NewStub(server.channel())
              ->CreateProject(server.As("owner").get(), project, &made_project),
          "CreateProject");
}

// Puts, changes and deletes: each kind of row and of feed entry is there.
nlohmann::json WriteDocuments(GoldenServer& server, const std::string& hub) {
  const auto documents = v1::DocumentService::NewStub(server.channel());
  const auto put = [&](const std::string& id, const std::string& content) {
    v1::UpdateDocumentRequest request;
    request.mutable_document()->set_name(absl::StrCat(
        "tenants/", kTenant, "/hubs/", hub, "/projects/p1/collections/flows/documents/", id));
    request.mutable_document()->set_content(content);
    (*request.mutable_document()->mutable_labels())["team"] = "retail";
    request.set_allow_missing(true);
    v1::Document stored;
    Require(documents->UpdateDocument(server.As("contributor").get(), request, &stored), "put");
    return stored;
  };
  nlohmann::json expected = nlohmann::json::object();
  for (int i = 0; i < kDocuments; ++i) {
    v1::Document stored;
    std::string content;
    for (int revision = 0; revision <= i % 3; ++revision) {
      content = absl::StrCat("{\"flow\":", i, ",\"revision\":", revision, ",\"text\":\"golden\"}");
      stored = put(absl::StrCat("f", i), content);
    }
    if (i % 4 != 3) {
      expected[stored.name()] = {{"content", content}, {"revision", stored.revision()}};
      continue;
    }
    v1::DeleteDocumentRequest remove;
    remove.set_name(stored.name());
    v1::DeleteDocumentResponse nothing;
    Require(documents->DeleteDocument(server.As("contributor").get(), remove, &nothing), "delete");
    expected[stored.name()] = nullptr;
  }
  return expected;
}

void Rotate(GoldenServer& server, const std::string& hub) {
  v1::RotateDekRequest request;
  request.set_name(absl::StrCat("tenants/", kTenant, "/hubs/", hub));
  google::longrunning::Operation operation;
  Require(v1::KeyService::NewStub(server.channel())
              ->RotateDek(server.As("key_admin").get(), request, &operation),
          "RotateDek");
  Await(server, "key_admin", operation);
}

void RemoveWhatIsForPeople(const std::string& out) {
  std::vector<fs::path> remove;
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    const std::string name = entry.path().filename();
    const bool log = name == "LOG" || name.starts_with("LOG.") || name.starts_with("OPTIONS-");
    if (log || (name == "LOCK" && entry.path().string().find("/shards/") != std::string::npos)) {
      remove.push_back(entry.path());
    }
  }
  for (const fs::path& path : remove) {
    if (path.string().find("/backups/") == std::string::npos) fs::remove(path);
  }
}

int Write(const std::string& out) {
  testing::TempDir work;
  SystemClock clock;
  fs::create_directories(out + "/backups");
  dev_vault::DevVaultOptions vault_options;
  vault_options.state_dir = work.path() + "/vault";
  const auto vault = *dev_vault::DevVault::Start(vault_options, clock);
  VaultOwner(vault->endpoints())
      .Key("POST", "/keys/k1/create", {{"kty", "RSA"}, {"key_size", 2048}});
  service::ServerOptions options;
  options.backup.directory = out + "/backups";
  testing::UseDevVault(vault->endpoints(), options);
  nlohmann::json expected;
  {
    GoldenServer server(out + "/data", work.path(), clock, options);
    if (!server.status().ok()) {
      std::fprintf(stderr, "%s\n", server.status().ToString().c_str());
      return 1;
    }
    v1::Encryption platform, customer;
    platform.mutable_platform_managed();
    customer.mutable_customer_managed()->set_vault_uri(vault->endpoints().url);
    customer.mutable_customer_managed()->set_key_name("k1");
    MakeHub(server, "platform", platform);
    MakeHub(server, "customer", customer);
    WriteDocuments(server, "customer");
    Rotate(server, "platform");
    expected["documents"] = WriteDocuments(server, "platform");
    google::longrunning::Operation operation;
    Require(v1::AdminService::NewStub(server.channel())
                ->Backup(server.As("operator").get(), {}, &operation),
            "Backup");
    Await(server, "operator", operation);
  }
  RemoveWhatIsForPeople(out);
  return WriteFileDurably(out + "/expected.json", expected.dump(1) + "\n") ? 0 : 1;
}

}  // namespace
}  // namespace cmkstore::upgrade

int main(int argc, char** argv) {
  const std::string out = argc > 1 ? argv[1] : "";
  const bool help = out == "--help" || out == "-h";
  if (help || argc != 2 || out.substr(0, 1) == "-") {
    std::fputs("cmkstore_golden_data OUT    (a directory that is not there yet)\n",
               help ? stdout : stderr);
    return help ? 0 : 2;
  }
  return cmkstore::upgrade::Write(argv[1]);
}
