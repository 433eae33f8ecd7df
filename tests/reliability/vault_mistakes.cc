// vault_mistakes: makes the mistakes that tenants make with their vaults, and mends them.
//
// Each mistake has a hub, a vault and a key of its own, and comes at a random phase of the probes;
// all are made beside each other. Measured: in how many seconds the tenant sees it, in how many all
// is well again once it is mended, and how many documents are not what they were. A mistake that
// darkens no hub must darken none for as long as one that does would take.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/key_service.grpc.pb.h"
#include "tests/reliability/result.h"
#include "tests/reliability/round_options.h"
#include "tests/reliability/stage.h"

namespace cmkstore::reliability {
namespace {

using nlohmann::json;

constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr size_t kDocuments = 20;
constexpr char kReplacement[] = "replacement";
constexpr char kNoVersion[] = "00000000000000000000000000000000";

double Seconds(absl::Time began) { return absl::ToDoubleSeconds(absl::Now() - began); }
json AllPermissions() { return {"get", "wrapKey", "unwrapKey"}; }

// One mistake, from the hub's making to the count of its documents.
class Mistake {
 public:
  Mistake(Stage& stage, const std::string& label, absl::Duration phase, absl::Duration promise)
      : stage_(stage),
        hub_(label),
        vault_url_(stage.AddVault(label)),
        phase_(phase),
        promise_(promise) {}

  void SetUp() {
    stage_.MakeKey(vault_url_, "k");
    stage_.MakeHub(hub_, vault_url_, "k");
    for (size_t i = 0; i < kDocuments; ++i) {
      v1::UpdateDocumentRequest put;
      put.mutable_document()->set_name(DocumentName(i));
      put.mutable_document()->set_content(ContentOf(i));
      put.set_allow_missing(true);
      v1::Document stored;
      Expect(Documents()->UpdateDocument(stage_.NewCall().get(), put, &stored).ok(),
             "a document could not be stored");
    }
  }
  void Make(void (Mistake::*act)()) {
    absl::SleepFor(phase_);
    (this->*act)();
    for (size_t i = 0; i < kDocuments; ++i) {
      v1::GetDocumentRequest get;
      get.set_name(DocumentName(i));
      v1::Document found;
      const grpc::Status status = Documents()->GetDocument(stage_.NewCall().get(), get, &found);
      lost_ += !status.ok() || found.content() != ContentOf(i);
    }
    Expect(stage_.Write(hub_).ok(), "the hub takes no writes afterwards");
  }

  void KeyDeleted() {
    Key("DELETE", "/keys/k");
    AwaitDark();
    Key("POST", "/deletedkeys/k/recover");
    AwaitBack();
  }
  void PurgeTried() {
    Key("DELETE", "/keys/k");
    const int purge = Key("DELETE", "/deletedkeys/k").status;
    Expect(purge == 403, "the purge was not refused");
    AwaitDark();
    absl::StrAppend(&seen_, "; the purge: ", purge);
    Key("POST", "/deletedkeys/k/recover");
    AwaitBack();
  }
  void WrongVersionPinned() {
    const std::string version = LatestVersion();
    const absl::Time began = absl::Now();
    const grpc::Status refused = Update("key_version", kNoVersion);
    until_seen_ = Seconds(began);
    See(refused);
    Expect(ReasonOf(refused) == "CUSTOMER_KEY_UNFIT", "the wrong version was not refused");
    ExpectServed();
    const absl::Time mended = absl::Now();
    Expect(Update("key_version", version).ok(), "the right version was refused");
    until_mended_ = Seconds(mended);
  }
  void PinnedVersionDisabled() {
    const std::string version = LatestVersion();
    Expect(Update("key_version", version).ok(), "the version could not be pinned");
    Expect(stage_.Read(hub_).ok(), "the hub was refused after its version was pinned");
    Key("POST", "/keys/k/rotate");
    Key("PATCH", "/keys/k/" + version, {{"attributes", {{"enabled", false}}}});
    AwaitDark();
    Key("PATCH", "/keys/k/" + version, {{"attributes", {{"enabled", true}}}});
    AwaitBack();
  }
  void PermissionRemoved() {
    SetVault({{"access", {{stage_.endpoints().client_id, {"get", "wrapKey"}}}}});
    AwaitDark();
    SetVault({{"access", {{stage_.endpoints().client_id, AllPermissions()}}}});
    AwaitBack();
  }
  // The vault lets in another identity in place of the one that the hub names.
  void IdentityReplaced() {
    SetVault({{"access",
               {{stage_.endpoints().client_id, json::array()}, {kReplacement, AllPermissions()}}}});
    AwaitDark();
    const absl::Time began = absl::Now();
    Expect(Update("identity", kReplacement).ok(), "the hub could not name its new identity");
    AwaitBack();
    until_mended_ = Seconds(began);
  }
  void FirewallClosed() {
    SetVault({{"firewall", {{"default_action", "deny"}, {"ip_rules", {"10.0.0.0/8"}}}}});
    AwaitDark();
    SetVault({{"firewall", {{"default_action", "allow"}}}});
    AwaitBack();
  }
  // Darkens no hub: what the tenant sees is that no other can be made, and what CheckKey says.
  void KeyExpired() {
    const int64_t now = absl::ToUnixSeconds(absl::Now());
    Key("PATCH", "/keys/k", {{"attributes", {{"exp", now - 60}}}});
    const absl::Time began = absl::Now();
    const grpc::Status refused = CreateAnother();
    until_seen_ = Seconds(began);
    See(refused);
    Expect(ReasonOf(refused) == "CUSTOMER_KEY_UNFIT", "a new hub was not refused");
    Expect(FailedChecks() == "validity wrap ", "CheckKey does not name what is wrong");
    ExpectServed();
    Key("PATCH", "/keys/k", {{"attributes", {{"exp", now + 90 * 24 * 3600}}}});
    const absl::Time mended = absl::Now();
    Expect(CreateAnother().ok(), "a new hub was refused afterwards");
    until_mended_ = Seconds(mended);
  }

  double until_seen() const { return until_seen_; }
  double until_mended() const { return until_mended_; }
  size_t lost() const { return lost_; }
  const std::string& seen() const { return seen_; }
  const std::string& wrong() const { return wrong_; }

 private:
  std::unique_ptr<v1::DocumentService::Stub> Documents() {
    return v1::DocumentService::NewStub(stage_.channel());
  }
  std::string DocumentName(size_t i) const {
    return absl::StrCat(stage_.HubName(hub_), "/projects/p/collections/kept/documents/", i);
  }
  std::string ContentOf(size_t i) const {
    return absl::StrCat("{\"hub\": \"", hub_, "\", \"i\": ", i, "}");
  }
  void Expect(bool kept, const char* otherwise) {
    if (!kept && wrong_.empty()) wrong_ = otherwise;
  }

  HttpResponse Key(const std::string& method, const std::string& path,
                   const json& body = json::object()) {
    return stage_.owner().KeyIn(vault_url_, method, path, body);
  }
  void SetVault(const json& settings) { stage_.owner().SetVault(vault_url_, settings); }
  std::string LatestVersion() {
    const std::string id = json::parse(Key("GET", "/keys/k").body)["key"]["kid"];
    return id.substr(id.rfind('/') + 1);
  }
  v1::CustomerManagedKey KeyOf() const {
    v1::CustomerManagedKey key;
    key.set_vault_uri(vault_url_);
    key.set_key_name("k");
    return key;
  }
  // Changes one field of the hub's key.
  grpc::Status Update(const std::string& field, const std::string& value) {
    v1::UpdateHubRequest request;
    request.mutable_hub()->set_name(stage_.HubName(hub_));
    v1::CustomerManagedKey& key =
        *request.mutable_hub()->mutable_encryption()->mutable_customer_managed();
    key = KeyOf();
    field == "identity" ? key.set_identity(value) : key.set_key_version(value);
    request.mutable_update_mask()->add_paths(absl::StrCat("encryption.customer_managed.", field));
    v1::Hub hub;
    return v1::HubService::NewStub(stage_.channel())
        ->UpdateHub(stage_.NewCall().get(), request, &hub);
  }
  grpc::Status CreateAnother() {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", stage_.endpoints().tenant_id));
    request.set_hub_id(hub_ + "-another");
    *request.mutable_hub()->mutable_encryption()->mutable_customer_managed() = KeyOf();
    v1::Hub hub;
    return v1::HubService::NewStub(stage_.channel())
        ->CreateHub(stage_.NewCall().get(), request, &hub);
  }
  std::string FailedChecks() {
    v1::CheckKeyRequest request;
    request.set_parent(absl::StrCat("tenants/", stage_.endpoints().tenant_id));
    *request.mutable_key() = KeyOf();
    v1::CheckKeyResponse response;
    (void)v1::KeyService::NewStub(stage_.channel())
        ->CheckKey(stage_.NewCall().get(), request, &response);
    std::string names;
    for (const v1::KeyCheck& check : response.checks()) {
      if (check.result() == v1::KeyCheck::FAILED) absl::StrAppend(&names, check.check(), " ");
    }
    return names;
  }

  // The reason, and what the first failed check found.
  void See(const grpc::Status& refused) {
    const std::string message = refused.error_message();
    const size_t found = message.find("found: ");
    seen_ = absl::StrCat(ReasonOf(refused), ": ",
                         found == std::string::npos
                             ? message
                             : message.substr(found + 7, message.find("; needed") - found - 7));
  }
  void AwaitDark() {
    until_seen_ = absl::ToDoubleSeconds(stage_.Until(hub_, /*readable=*/false));
    const std::string reason = ReasonOf(stage_.Read(hub_));
    Expect(reason == "CUSTOMER_KEY_REVOKED", "dark by another reason");
    v1::GetKeyStatusRequest ask;
    ask.set_name(stage_.HubName(hub_) + "/key");
    v1::KeyStatus status;
    (void)v1::KeyService::NewStub(stage_.channel())
        ->GetKeyStatus(stage_.NewCall().get(), ask, &status);
    const std::string cause = status.cause();
    seen_ = absl::StrCat(reason, cause.substr(std::min(cause.size(), cause.find(": "))));
  }
  void AwaitBack() { until_mended_ = absl::ToDoubleSeconds(stage_.Until(hub_, /*readable=*/true)); }
  void ExpectServed() {
    for (const absl::Time end = absl::Now() + promise_; absl::Now() < end;) {
      Expect(stage_.Read(hub_).ok(), "the hub was refused, and should not");
      absl::SleepFor(kLook);
    }
  }

  Stage& stage_;
  const std::string hub_, vault_url_;
  const absl::Duration phase_, promise_;
  double until_seen_ = 0, until_mended_ = 0;
  size_t lost_ = 0;
  std::string seen_, wrong_;
};

const struct {
  const char* what;
  void (Mistake::*act)();
} kMistakes[] = {{"key deleted, recovered", &Mistake::KeyDeleted},
                 {"key deleted, purge tried, recovered", &Mistake::PurgeTried},
                 {"wrong version pinned, the right one", &Mistake::WrongVersionPinned},
                 {"pinned version disabled, enabled", &Mistake::PinnedVersionDisabled},
                 {"permission removed, given back", &Mistake::PermissionRemoved},
                 {"identity replaced, named in the hub", &Mistake::IdentityReplaced},
                 {"vault firewall closed, opened", &Mistake::FirewallClosed},
                 {"key expired, extended", &Mistake::KeyExpired}};

int Run(const RoundOptions& options) {
  const absl::Duration promise = options.promise();
  Stage stage("vault_mistakes");
  stage.SetPace(options.pace);
  stage.AddClient(kReplacement, kReplacement);
  std::mt19937 random(options.seed);
  std::vector<Mistake> mistakes;
  for (size_t i = 0; i < std::size(kMistakes); ++i) {
    mistakes.emplace_back(stage, absl::StrCat("mistake", i), options.Phase(random), promise);
  }
  stage.StartServer();
  const size_t count = mistakes.size();
  InParallel(4, count, [&](size_t i) { mistakes[i].SetUp(); });
  InParallel(count, count, [&](size_t i) { mistakes[i].Make(kMistakes[i].act); });

  Result result("T10b", "vault_mistakes");
  result.Note("seed of the phases", options.seed);
  std::printf("%-36s  %6s  %6s  %4s  the tenant sees\n", "mistake, and how it is mended", "seen",
              "mended", "lost");
  for (size_t i = 0; i < count; ++i) {
    const Mistake& mistake = mistakes[i];
    std::printf("%-36s  %4.1f s  %4.1f s  %4zu  %s%s%s\n", kMistakes[i].what, mistake.until_seen(),
                mistake.until_mended(), mistake.lost(), mistake.seen().c_str(),
                mistake.wrong().empty() ? "" : "; WRONG: ", mistake.wrong().c_str());
  }
  for (size_t i = 0; i < count; ++i) {
    const Mistake& mistake = mistakes[i];
    const std::string what = kMistakes[i].what;
    result.AtMost(what + ": seen", mistake.until_seen(), absl::ToDoubleSeconds(promise));
    result.AtMost(what + ": mended", mistake.until_mended(), absl::ToDoubleSeconds(promise));
    result.Exactly(what + ": lost", static_cast<double>(mistake.lost()), 0);
    result.Exactly(what + ": otherwise", mistake.wrong().empty() ? 0 : 1, 0);
  }
  return result.Finish(options.json_file);
}

}  // namespace
}  // namespace cmkstore::reliability

int main(int argc, char** argv) {
  CLI::App app("Makes the mistakes that tenants make with their vaults, and mends them.");
  cmkstore::reliability::RoundOptions options;
  options.Declare(app);
  CLI11_PARSE(app, argc, argv);
  return cmkstore::reliability::Run(options);
}
