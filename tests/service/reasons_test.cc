// Every reason of base/reasons.h, driven to a client through a whole server: a reason without a
// case here fails.

#include "base/reasons.h"

#include <grpcpp/create_channel.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>

#include "tests/service/reasons_fixture.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

using google::longrunning::Operation;
using nlohmann::json;

enum class Detail { kNone, kRetry, kField, kChecks };

struct Case {
  std::string reason;
  Detail detail;  // beside ErrorInfo and RequestInfo
  std::function<grpc::Status()> drive;
};

class ReasonsTest : public FailingHub {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(backups());
    StartServer();
    SetUpHub();
    MakeOtherHub("h2");
  }

  // What a client sees of one status: all that the API promises of it.
  static void ExpectPromised(const grpc::Status& status, const Case& one) {
    const Reason* reason = FindReason(one.reason);
    ASSERT_NE(reason, nullptr);
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(reason->code));
    google::rpc::Status wire;
    ASSERT_TRUE(wire.ParseFromString(status.error_details()));
    EXPECT_EQ(wire.code(), static_cast<int>(reason->code));
    EXPECT_EQ(wire.message(), status.error_message());
    EXPECT_FALSE(wire.message().empty());
    EXPECT_EQ(wire.message().find("/tmp"), std::string::npos) << wire.message();
    std::map<std::string, int> seen;
    google::rpc::ErrorInfo info;
    google::rpc::RequestInfo request;
    google::rpc::RetryInfo retry;
    google::rpc::BadRequest fields;
    google::rpc::PreconditionFailure checks;
    for (const auto& detail : wire.details()) {
      ++seen[detail.type_url().substr(detail.type_url().rfind('.') + 1)];
      (void)(detail.UnpackTo(&info) || detail.UnpackTo(&request) || detail.UnpackTo(&retry) ||
             detail.UnpackTo(&fields) || detail.UnpackTo(&checks));
    }
    std::map<std::string, int> promised = {{"ErrorInfo", 1}, {"RequestInfo", 1}};
    if (one.detail == Detail::kRetry) promised["RetryInfo"] = 1;
    if (one.detail == Detail::kField) promised["BadRequest"] = 1;
    if (one.detail == Detail::kChecks) promised["PreconditionFailure"] = 1;
    if (one.reason == "CANCELLED") promised.erase("RequestInfo");  // an operation's own error
    EXPECT_EQ(seen, promised);
    EXPECT_EQ(info.reason(), one.reason);
    EXPECT_EQ(info.domain(), "cmkstore");
    EXPECT_TRUE(info.metadata().empty());
    if (promised.contains("RequestInfo")) {
      EXPECT_TRUE(std::regex_match(request.request_id(), std::regex("[0-9a-f]{16}")));
    }
    if (one.detail == Detail::kRetry) {
      EXPECT_GT(retry.retry_delay().seconds() * 1'000'000'000 + retry.retry_delay().nanos(), 0);
    }
    for (const auto& field : fields.field_violations()) {
      EXPECT_FALSE(field.field().empty() || field.description().empty());
      EXPECT_NE(wire.message().find(field.description()), std::string::npos);
    }
    for (const auto& check : checks.violations()) {
      EXPECT_EQ(check.type(), "VAULT_KEY");
      EXPECT_FALSE(check.subject().empty() || check.description().empty());
    }
    EXPECT_EQ(fields.field_violations_size() > 0, one.detail == Detail::kField);
    EXPECT_EQ(checks.violations_size() > 0, one.detail == Detail::kChecks);
    if (one.reason == "INVARIANT") {
      EXPECT_EQ(wire.message(), "internal error; report request " + request.request_id());
    }
  }

  grpc::Status Update(const v1::Hub& wanted, const std::string& path) {
    v1::UpdateHubRequest request;
    *request.mutable_hub() = wanted;
    request.mutable_hub()->set_name(kHub);
    request.mutable_update_mask()->add_paths(path);
    v1::Hub updated;
    return hubs_->UpdateHub(As("owner").get(), request, &updated);
  }
  grpc::Status UpdateKey(const v1::Encryption& wanted) {
    v1::Hub hub;
    *hub.mutable_encryption() = wanted;
    return Update(hub, "encryption");
  }
  grpc::Status GetFromTheNetwork() {
    v1::Hub hub;
    hub.add_allowed_ip_ranges("10.0.0.0/8");
    EXPECT_EQ(ReasonOf(Update(hub, "allowed_ip_ranges")), "OK");
    auto stub = v1::DocumentService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials()));
    v1::GetDocumentRequest request;
    request.set_name(NameOf("d1"));
    v1::Document document;
    const grpc::Status denied = stub->GetDocument(As("reader").get(), request, &document);
    hub.clear_allowed_ip_ranges();
    EXPECT_EQ(ReasonOf(Update(hub, "allowed_ip_ranges")), "OK");
    return denied;
  }
  grpc::Status CreateOnAnUnfitKey() {
    owner_->Key("POST", "/keys/signs/create", {{"kty", "RSA"}, {"key_ops", {"sign"}}});
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.set_hub_id("unfit");
    auto& managed = *request.mutable_hub()->mutable_encryption()->mutable_customer_managed();
    managed.set_vault_uri(vault_->endpoints().url);
    managed.set_key_name("signs");
    v1::Hub hub;
    return hubs_->CreateHub(As("owner").get(), request, &hub);
  }
  grpc::Status CreateDocument() {
    v1::CreateDocumentRequest request;
    request.set_parent(absl::StrCat(kProject, "/collections/canary-flows"));
    request.set_document_id("d1");
    v1::Document document;
    return documents_->CreateDocument(As("owner").get(), request, &document);
  }
  grpc::Status GetLocked() {
    Lock();
    const grpc::Status refused = Get("d1");
    Unlock();
    return refused;
  }
  grpc::Status UndeleteLive() {
    v1::UndeleteHubRequest request;
    request.set_name(kHub);
    v1::Hub hub;
    return hubs_->UndeleteHub(As("owner").get(), request, &hub);
  }
  grpc::Status GetOperation() {
    google::longrunning::GetOperationRequest request;
    request.set_name(absl::StrCat(kHub, "/operations/none"));
    Operation operation;
    return operations()->GetOperation(As("reader").get(), request, &operation);
  }
  // More rotations than there are threads wait for the vault; the last one is cancelled meanwhile.
  grpc::Status CancelAnOperation() {
    owner_->Script(Always({{"operation", "wrapkey"}, {"kind", "hang"}}));
    v1::RotateDekRequest rotate;
    rotate.set_name(kHub);
    Operation last;
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(ReasonOf(keys_->RotateDek(As("key_admin").get(), rotate, &last)), "OK");
    }
    google::longrunning::CancelOperationRequest cancel;
    cancel.set_name(last.name());
    google::protobuf::Empty nothing;
    EXPECT_EQ(ReasonOf(operations()->CancelOperation(As("key_admin").get(), cancel, &nothing)),
              "OK");
    owner_->Script(json::array());
    const grpc::Status ended = testing::AwaitOperation(
        channel_, [this] { return As("reader"); }, last);
    EXPECT_EQ(ReasonOf(ended), "OK");
    return {static_cast<grpc::StatusCode>(last.error().code()), last.error().message(),
            last.error().SerializeAsString()};
  }
  grpc::Status GetOnAWrongSecret() {
    const std::string file = vault_->endpoints().secret_file, good = *ReadFile(file);
    EXPECT_TRUE(WriteFileDurably(file, "wrong"));
    const grpc::Status refused = ColdGetOn(json::array());
    EXPECT_TRUE(WriteFileDurably(file, good));
    return refused;
  }
  grpc::Status GetWithADisabledKey() {
    SetKeyEnabled(false);
    const grpc::Status refused = ColdGetOn(json::array());
    SetKeyEnabled(true);
    return refused;
  }
  // Calls `meanwhile` until the get that waits for the vault has its answer, which is returned.
  grpc::Status GetOnAHangingVault(const std::function<void()>& meanwhile) {
    owner_->Script(Always({{"operation", "unwrapkey"}, {"kind", "hang"}}));
    StartServer();
    std::atomic<bool> answered = false;
    grpc::Status waiting;
    std::thread waiter([&] {
      waiting = Get("d1");
      answered = true;
    });
    while (!answered) meanwhile();
    waiter.join();
    owner_->Script(json::array());
    return waiting;
  }
  // Of two that wait for one key where one may, one is turned away.
  grpc::Status GetBesideAnother() {
    max_waiters_ = 1;
    std::optional<grpc::Status> turned_away;
    const grpc::Status other = GetOnAHangingVault([&] {
      if (turned_away.has_value()) {
        owner_->Script(json::array());
        return;
      }
      grpc::Status mine = Get("d1");
      if (ReasonOf(mine) == "QUOTA_EXCEEDED") turned_away = std::move(mine);
    });
    max_waiters_ = 20'000;
    StartServer();
    return turned_away.value_or(other);
  }
  // A search opens an index anew when another one has taken its place; this one is damaged.
  grpc::Status SearchADamagedIndex() {
    v1::Document stored;
    EXPECT_EQ(ReasonOf(Put("d1", "{}", &stored)), "OK");
    EXPECT_EQ(ReasonOf(Find(kHub, stored.sequence())), "OK");
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(dir_.path() + "/data/indexes")) {
      if (file.path().extension() == ".index") files.push_back(file.path());
    }
    EXPECT_EQ(ReasonOf(Find(HubNamed("h2"))), "OK");
    for (const auto& path : files) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      for (int at = 0; at < 40'000; at += 1000) file.seekp(at).put('x');
    }
    return Find(kHub);
  }
  // By a connection: of streams in its own process gRPC cuts those that a stop has not ended yet.
  grpc::Status WatchUntilTheServerStops() {
    const auto documents = v1::DocumentService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials()));
    v1::WatchDocumentsRequest request;
    request.set_parent(kHub);
    auto context = As("reader");
    auto stream = documents->WatchDocuments(context.get(), request);
    v1::WatchDocumentsResponse part;
    EXPECT_TRUE(stream->Read(&part));
    server_->Shutdown(absl::Seconds(5));
    while (stream->Read(&part)) {
    }
    const grpc::Status ended = stream->Finish();
    StartServer();
    return ended;
  }
  grpc::Status PutOnADiskThatFails() {
    disk_->Set(Fault::kWriteError);
    const grpc::Status refused = Put("d1", "{}");
    disk_->Set(Fault::kNone);
    StartServer();
    return refused;
  }
  grpc::Status PutOnAFullDisk() {
    disk_->Set(Fault::kFullAfterHalf);
    const grpc::Status refused = Put("d1", "{}");
    disk_->Set(Fault::kNone);
    return refused;
  }
  // Rows are told apart by how often they were written.
  void DamageRows() {
    for (int document = 1; document <= 3; ++document) {
      for (int i = 0; i < 20 + document; ++i) {
        ASSERT_EQ(ReasonOf(Put(absl::StrCat("row", document), "{}")), "OK");
      }
    }
    MakeOtherHub("h3");
    MakeOtherHub("h4");
    DamageStore([](store::Engine& engine) {
      ChangeRow(engine, 23, 1000);  // the last byte
      ChangeRow(engine, 22, 8);     // DEK id
      ChangeRow(engine, 21, 2);     // format version; no row can be looked into after this
      store::WriteSet keys;
      store::DeksTable::Delete(keys, 1);
      store::HubSecretsTable::Delete(keys);
      ASSERT_TRUE(store::ApplyAndWait(engine, PartitionOf(engine, "h3"), std::move(keys)).ok());
      storage::v1::HubRecord record = HubRecord(engine, "h4");
      record.set_shard(99);
      store::WriteSet hub;
      store::HubsTable::Put(hub, kTenant, "h4", record);
      ASSERT_TRUE(store::ApplyAndWait(engine, store::CatalogPartition(), std::move(hub)).ok());
    });
  }

  std::vector<Case> Cases();
};

// In an order in which each finds the server as it needs it.
std::vector<Case> ReasonsTest::Cases() {
  const auto as_nobody = [this] {
    grpc::ClientContext context;
    v1::GetDocumentRequest request;
    v1::Document document;
    return documents_->GetDocument(&context, request, &document);
  };
  const auto change_vault = [this] {
    v1::Encryption wanted;
    wanted.mutable_customer_managed()->set_vault_uri("https://elsewhere.vault.azure.net");
    wanted.mutable_customer_managed()->set_key_name("k1");
    return UpdateKey(wanted);
  };
  const auto change_kind = [this] {
    v1::Encryption wanted;
    wanted.mutable_platform_managed();
    return UpdateKey(wanted);
  };
  const json bad = {{"error", {{"code", "BadParameter"}, {"message", "no"}}}};
  const json unwrap = {{"operation", "unwrapkey"}};
  const auto answer = [unwrap](int status, const json& body = json()) {
    json fault = unwrap;
    fault["status"] = status;
    if (!body.is_null()) fault["body"] = body.dump();
    return Always(fault);
  };
  return {
      {"TOKEN_INVALID", Detail::kNone, as_nobody},
      {"ACCESS_DENIED", Detail::kNone, [this] { return Get("d1", nullptr, "auditor"); }},
      {"NETWORK_DENIED", Detail::kNone, [this] { return GetFromTheNetwork(); }},
      {"FIELD_INVALID", Detail::kField, [this] { return Put("-", "{}"); }},
      {"HUB_NOT_FOUND", Detail::kNone, [this] { return GetNamed(OtherDocument("none")); }},
      {"PROJECT_NOT_FOUND", Detail::kNone,
       [this] { return GetNamed(absl::StrCat(kHub, "/projects/none/collections/c/documents/d")); }},
      {"DOCUMENT_NOT_FOUND", Detail::kNone, [this] { return Get("none"); }},
      {"OPERATION_NOT_FOUND", Detail::kNone, [this] { return GetOperation(); }},
      {"BACKUP_NOT_FOUND", Detail::kNone, [this] { return GetBackup("backups/none"); }},
      {"BACKUP_CORRUPT", Detail::kNone, [this] { return GetADamagedBackup(); }},
      {"BACKUP_STORAGE_FAILED", Detail::kNone, [this] { return BackUpWithoutADirectory(); }},
      {"HUB_ALREADY_EXISTS", Detail::kNone, [this] { return CreateHub(); }},
      {"PROJECT_ALREADY_EXISTS", Detail::kNone, [this] { return CreateProject(); }},
      {"DOCUMENT_ALREADY_EXISTS", Detail::kNone,
       [this] {
         EXPECT_EQ(ReasonOf(CreateDocument()), "OK");
         return CreateDocument();
       }},
      {"ETAG_MISMATCH", Detail::kNone, [this] { return Put("d1", "{}", nullptr, "stale"); }},
      {"STATE_INVALID", Detail::kNone, [this] { return UndeleteLive(); }},
      {"VAULT_CHANGE_REFUSED", Detail::kNone, change_vault},
      {"KEY_KIND_IMMUTABLE", Detail::kNone, change_kind},
      {"CUSTOMER_KEY_UNFIT", Detail::kChecks, [this] { return CreateOnAnUnfitKey(); }},
      {"HUB_LOCKED", Detail::kNone, [this] { return GetLocked(); }},
      {"CANCELLED", Detail::kNone, [this] { return CancelAnOperation(); }},
      {"INDEX_CORRUPT", Detail::kNone, [this] { return SearchADamagedIndex(); }},
      {"SERVER_STOPPING", Detail::kRetry, [this] { return WatchUntilTheServerStops(); }},
      {"STORE_BUSY", Detail::kRetry, [this] { return PutOnADiskThatFails(); }},
      {"STORE_FULL", Detail::kRetry, [this] { return PutOnAFullDisk(); }},
      {"VAULT_UNREACHABLE", Detail::kRetry, [=, this] { return ColdGetOn(answer(503)); }},
      {"VAULT_THROTTLED", Detail::kRetry, [=, this] { return ColdGetOn(answer(429)); }},
      {"DEK_RECORD_CORRUPT", Detail::kNone, [=, this] { return ColdGetOn(answer(400, bad)); }},
      {"VAULT_LOGIN_FAILED", Detail::kRetry, [this] { return GetOnAWrongSecret(); }},
      {"CUSTOMER_KEY_REVOKED", Detail::kNone, [this] { return GetWithADisabledKey(); }},
      {"QUOTA_EXCEEDED", Detail::kRetry, [this] { return GetBesideAnother(); }},
      {"FORMAT_TOO_NEW", Detail::kNone,
       [this] {
         DamageRows();
         return Get("row1");
       }},
      {"DEK_NOT_FOUND", Detail::kNone, [this] { return Get("row2"); }},
      {"DOCUMENT_CORRUPT", Detail::kNone, [this] { return Get("row3"); }},
      {"STORE_CORRUPT", Detail::kNone, [this] { return GetNamed(OtherDocument("h3")); }},
      {"INVARIANT", Detail::kNone, [this] { return GetNamed(OtherDocument("h4")); }},
      {"DEADLINE_EXCEEDED", Detail::kNone,
       [this] {
         return GetOnAHangingVault([this] {
           clock_.Advance(absl::Seconds(31));
           absl::SleepFor(absl::Milliseconds(20));
         });
       }},
      {"TOKEN_EXPIRED", Detail::kNone,
       [this] {
         clock_.Advance(absl::Hours(13));
         return Get("d1");
       }},
  };
}

TEST_F(ReasonsTest, EveryReasonReachesAClientWithItsCodeAndDetails) {
  const std::vector<Case> cases = Cases();
  for (const Reason& reason : kReasons) {
    EXPECT_EQ(std::count_if(cases.begin(), cases.end(),
                            [&](const Case& one) { return one.reason == reason.word; }),
              1)
        << reason.word << " needs one case";
  }
  for (const Case& one : cases) {
    SCOPED_TRACE(one.reason);
    const grpc::Status status = one.drive();
    ASSERT_EQ(ReasonOf(status), one.reason) << status.error_message();
    ExpectPromised(status, one);
  }
}

}  // namespace
}  // namespace cmkstore
