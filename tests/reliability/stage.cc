#include "tests/reliability/stage.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/curl_transport.h"
#include "base/file.h"
#include "base/log.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/testing/dev_vault_identity.h"

namespace cmkstore::reliability {
namespace {

using nlohmann::json;
using Kind = vault::IdentityOptions::Kind;

constexpr char kAudience[] = "api://cmkstore";
constexpr absl::Duration kPatience = absl::Seconds(30);
// What is only waited for, and measured by nobody: a machine may be busy with other things.
constexpr absl::Duration kSetUp = absl::Minutes(5);
constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr absl::Duration kGiveUp = absl::Seconds(120);
// Callers log in anew this often: the rounds shorten the lifetime of the directory's tokens.
constexpr absl::Duration kTokenUse = absl::Seconds(60);

std::string DocumentName(const std::string& hub_name, const char* document) {
  return absl::StrCat(hub_name, "/projects/p/collections/c/documents/", document);
}
std::string ContentOf(const std::string& id) { return absl::StrCat(R"({"hub": ")", id, "\"}"); }

grpc::Status Checked(const std::string& id, const grpc::Status& status, const v1::Document& found) {
  if (!status.ok() || found.content() == ContentOf(id)) return status;
  return {grpc::StatusCode::DATA_LOSS, "the document is not what was written"};
}

}  // namespace

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status wire;
  wire.ParseFromString(status.error_details());
  for (const auto& detail : wire.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info)) return info.reason();
  }
  if (status.ok()) return "OK";
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return "DEADLINE_EXCEEDED";
  return absl::StrCat("code ", status.error_code(), ": ", status.error_message());
}

void InParallel(size_t threads, size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::vector<std::thread> running;
  for (size_t i = 0; i < std::min(threads, count); ++i) {
    running.emplace_back([&] {
      for (size_t at = next++; at < count; at = next++) work(at);
    });
  }
  for (std::thread& thread : running) thread.join();
}

Stage::Stage(std::string program) : program_(std::move(program)) {
  SetLogFile(dir_.path() + "/log.jsonl");
  dev_vault::DevVaultOptions options;
  options.state_dir = dir_.path() + "/vault";
  options.client_certificate = true;
  auto started = dev_vault::DevVault::Start(options, clock_);
  if (!started.ok()) Fail(std::string(started.status().message()));
  vault_ = *std::move(started);
  owner_ = std::make_unique<VaultOwner>(vault_->endpoints(),
                                        [this](const std::string& why) { Fail(why); });
  owner_->Admin("PUT", "identities/caller",
                {{"secret", "of-the-caller"}, {"roles", {"cmkstore.owner"}}});
  AddIdentity("", Kind::kClientSecret);
}

Stage::~Stage() {
  StopServer();
  SetLogFile("/dev/stderr");
}

void Stage::Fail(const std::string& why) const {
  std::fprintf(stderr, "%s: %s\n", program_.c_str(), why.c_str());
  std::_Exit(2);
}

void Stage::Require(const grpc::Status& status, const std::string& what) const {
  if (!status.ok()) Fail(absl::StrCat(what, ": ", ReasonOf(status), " ", status.error_message()));
}

std::string Stage::AddVault(const std::string& label, int port) {
  const std::string& url = endpoints().url;
  const std::string at = port == 0 ? url.substr(url.rfind(':') + 1) : absl::StrCat(port);
  hosts_.push_back(absl::StrCat(label, ".vault.localhost:", at));
  return absl::StrCat("https://", hosts_.back());
}

void Stage::AddIdentity(const std::string& name, Kind kind) {
  const dev_vault::DevVaultEndpoints& at = endpoints();
  vault::IdentityOptions identity = testing::DevVaultIdentity(at);
  identity.kind = kind;
  if (kind == Kind::kManagedIdentity) identity.client_id.clear();
  identity.certificate_file = at.certificate_file;
  identity.token_file = at.federated_token_file;
  identity.imds_url = at.imds_url;
  identities_.emplace_back(name, identity);
}

void Stage::AddClient(const std::string& name, const std::string& client_id) {
  AddIdentity(name, Kind::kClientSecret);
  vault::IdentityOptions& identity = identities_.back().second;
  identity.client_id = client_id;
  identity.secret_file = absl::StrCat(directory(), "/", name, ".secret");
  const std::string secret = absl::StrCat("of-", client_id);
  owner_->Admin("PUT", absl::StrCat("identities/", client_id), {{"secret", secret}});
  if (!WriteFileDurably(identity.secret_file, secret)) Fail("a secret cannot be written");
}

std::string Stage::HubName(const std::string& id) const {
  return absl::StrCat("tenants/", endpoints().tenant_id, "/hubs/", id);
}

service::ServerOptions Stage::Options() const {
  const dev_vault::DevVaultEndpoints& at = endpoints();
  service::ServerOptions options;
  options.data_dir = dir_.path() + "/data";
  options.keys.probe_interval /= pace_;
  options.keys.unhealthy_probe_interval /= pace_;
  options.keys.confirm_delay /= pace_;
  options.keys.negative_lifetime /= pace_;
  options.keys.entry_lifetime /= pace_;
  options.issuers = {
      {.issuer = absl::StrCat(at.authority, "/", at.tenant_id, "/v2.0"),
       .audience = kAudience,
       .jwks = "",
       .jwks_url = absl::StrCat(at.authority, "/", at.tenant_id, "/discovery/v2.0/keys")}};
  options.issuer_ca_file = at.ca_file;
  options.vault_ca_file = at.ca_file;
  options.vault_addresses.allowed_hosts = hosts_;
  options.identities = identities_;
  options.admin_address = "127.0.0.1:0";
  return options;
}

void Stage::StartServer() {
  auto started = service::Server::Start(Options(), clock_);
  if (!started.ok()) Fail(std::string(started.status().message()));
  server_ = *std::move(started);
  channel_ = server_->InProcessChannel();
  documents_ = v1::DocumentService::NewStub(channel_);
  // The callers' issuer is asked for its keys after the start.
  const absl::Time give_up = absl::Now() + kSetUp;
  while (Look("none").error_code() == grpc::StatusCode::UNAUTHENTICATED) {
    if (absl::Now() > give_up) Fail("the callers' tokens are not taken");
    absl::SleepFor(absl::Milliseconds(10));
  }
}

void Stage::StopServer() {
  documents_.reset();
  channel_.reset();
  server_.reset();
}

std::string Stage::CallersToken() {
  absl::MutexLock lock(&mutex_);
  if (absl::Now() < token_until_) return token_;
  CurlTransport transport({.ca_file = endpoints().ca_file, .connect_to = {}});
  const auto answer = transport.Send(
      {"POST",
       absl::StrCat(endpoints().authority, "/", endpoints().tenant_id, "/oauth2/v2.0/token"),
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       absl::StrCat("grant_type=client_credentials&client_id=caller&scope=", kAudience,
                    "/.default&client_secret=of-the-caller")},
      absl::Now() + kSetUp);
  if (!answer.ok() || answer->status != 200) Fail("callers get no token");
  token_ = json::parse(answer->body)["access_token"];
  token_until_ = absl::Now() + kTokenUse;
  return token_;
}

std::unique_ptr<grpc::ClientContext> Stage::NewCall(absl::Duration patience) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization", "Bearer " + CallersToken());
  context->set_deadline(absl::ToChronoTime(absl::Now() + patience));
  return context;
}

void Stage::MakeKey(const std::string& vault_url, const std::string& name) {
  const HttpResponse made =
      owner_->KeyIn(vault_url, "POST", absl::StrCat("/keys/", name, "/create"),
                    {{"kty", "RSA"}, {"key_size", 2048}});
  if (made.status != 200) Fail(absl::StrCat("a key cannot be made: ", made.body));
}

void Stage::MakeHub(const std::string& id, const std::string& vault_url, const std::string& key,
                    const std::string& identity) {
  v1::CreateHubRequest hub;
  hub.set_parent(absl::StrCat("tenants/", endpoints().tenant_id));
  hub.set_hub_id(id);
  auto& managed = *hub.mutable_hub()->mutable_encryption()->mutable_customer_managed();
  managed.set_vault_uri(vault_url);
  managed.set_key_name(key);
  managed.set_identity(identity);
  v1::Hub made;
  grpc::Status status;
  hub.set_request_id("00000000-0000-4000-8000-000000000001");  // what was too slow may be there
  // The vault's budget is small against the haste of a program that sets up.
  for (const absl::Time give_up = absl::Now() + kSetUp; absl::Now() < give_up;) {
    status = v1::HubService::NewStub(channel_)->CreateHub(NewCall(kPatience).get(), hub, &made);
    const std::string reason = ReasonOf(status);
    if (reason != "VAULT_THROTTLED" && reason != "DEADLINE_EXCEEDED") break;
  }
  Require(status, "a hub cannot be made");
  v1::CreateProjectRequest project;
  project.set_parent(HubName(id));
  project.set_project_id("p");
  v1::Project made_project;
  Require(v1::ProjectService::NewStub(channel_)->CreateProject(NewCall(kPatience).get(), project,
                                                               &made_project),
          "a project cannot be made");
  v1::UpdateDocumentRequest put;
  put.mutable_document()->set_name(DocumentName(HubName(id), "d"));
  put.mutable_document()->set_content(ContentOf(id));
  put.set_allow_missing(true);
  v1::Document stored;
  Require(documents_->UpdateDocument(NewCall(kPatience).get(), put, &stored),
          "a document cannot be stored");
}

grpc::Status Stage::Read(const std::string& id, absl::Duration patience) {
  v1::GetDocumentRequest get;
  get.set_name(DocumentName(HubName(id), "d"));
  v1::Document found;
  const grpc::Status status = documents_->GetDocument(NewCall(patience).get(), get, &found);
  return Checked(id, status, found);
}

absl::Duration Stage::Until(const std::string& id, bool readable) {
  const absl::Time began = absl::Now();
  while (Read(id).ok() != readable && absl::Now() - began < kGiveUp) absl::SleepFor(kLook);
  return absl::Now() - began;
}

std::vector<grpc::Status> Stage::ReadAll(const std::vector<std::string>& ids,
                                         absl::Duration patience) {
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Document>> reader;
    v1::Document found;
    grpc::Status status;
  };
  grpc::CompletionQueue queue;
  std::deque<Call> calls(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    v1::GetDocumentRequest get;
    get.set_name(DocumentName(HubName(ids[i]), "d"));
    calls[i].context = NewCall(patience);
    calls[i].reader = documents_->AsyncGetDocument(calls[i].context.get(), get, &queue);
    calls[i].reader->Finish(&calls[i].found, &calls[i].status, &calls[i]);
  }
  void* finished = nullptr;
  bool ok = false;
  for (size_t i = 0; i < ids.size(); ++i) queue.Next(&finished, &ok);
  std::vector<grpc::Status> statuses;
  for (size_t i = 0; i < ids.size(); ++i) {
    statuses.push_back(Checked(ids[i], calls[i].status, calls[i].found));
  }
  return statuses;
}

grpc::Status Stage::Write(const std::string& id) {
  v1::UpdateDocumentRequest put;
  put.mutable_document()->set_name(DocumentName(HubName(id), "w"));
  put.mutable_document()->set_content("{}");
  put.set_allow_missing(true);
  v1::Document stored;
  return documents_->UpdateDocument(NewCall(kPatience).get(), put, &stored);
}

grpc::Status Stage::Look(const std::string& id, v1::Hub* hub) {
  v1::GetHubRequest get;
  get.set_name(HubName(id));
  v1::Hub found;
  return v1::HubService::NewStub(channel_)->GetHub(NewCall(kPatience).get(), get,
                                                   hub == nullptr ? &found : hub);
}

bool Stage::IsServing() {
  grpc::health::v1::HealthCheckResponse health;
  const grpc::Status status = grpc::health::v1::Health::NewStub(channel_)->Check(
      NewCall(kPatience).get(), grpc::health::v1::HealthCheckRequest(), &health);
  return status.ok() && health.status() == grpc::health::v1::HealthCheckResponse::SERVING;
}

double Stage::Metric(const std::string& name, const std::string& label) {
  CurlTransport transport({.ca_file = "", .connect_to = {}});
  const auto page = transport.Send(
      {"GET", absl::StrCat("http://127.0.0.1:", server_->admin_port(), "/metrics"), {}, ""},
      absl::Now() + kSetUp);
  if (!page.ok() || page->status != 200) Fail("the metrics cannot be read");
  double sum = 0;
  for (absl::string_view line : absl::StrSplit(page->body, '\n')) {
    const std::string_view::size_type space = line.rfind(' ');
    if (space == absl::string_view::npos || line.substr(0, name.size()) != name) continue;
    if (line[name.size()] != ' ' && line[name.size()] != '{') continue;
    double value = 0;
    if (!absl::StrContains(line, label) || !absl::SimpleAtod(line.substr(space + 1), &value)) {
      continue;
    }
    sum += value;
  }
  return sum;
}

}  // namespace cmkstore::reliability
