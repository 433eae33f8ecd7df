// What becomes of hubs, projects and keys over time.

#include <grpcpp/create_channel.h>

#include <thread>

#include "google/longrunning/operations.grpc.pb.h"
#include "tests/e2e/served_hub.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

using google::longrunning::Operation;

class LifecycleTest : public ServedHub {
 protected:
  std::unique_ptr<google::longrunning::Operations::Stub> operations() {
    return google::longrunning::Operations::NewStub(server_->InProcessChannel());
  }
  Operation Await(Operation operation) {
    const grpc::Status status = testing::AwaitOperation(
        server_->InProcessChannel(), [this] { return As("reader"); }, operation);
    EXPECT_EQ(ReasonOf(status), "OK");
    EXPECT_FALSE(operation.has_error()) << operation.error().message();
    return operation;
  }
  Operation Rotate() {
    v1::RotateDekRequest request;
    request.set_name(kHub);
    Operation operation;
    const grpc::Status status = keys_->RotateDek(As("key_admin").get(), request, &operation);
    EXPECT_EQ(ReasonOf(status), "OK");
    return operation;
  }
  std::string UpdateHub(const v1::Hub& hub, const std::vector<std::string>& mask,
                        v1::Hub* updated = nullptr) {
    v1::UpdateHubRequest request;
    *request.mutable_hub() = hub;
    request.mutable_hub()->set_name(kHub);
    for (const std::string& path : mask) request.mutable_update_mask()->add_paths(path);
    v1::Hub answer;
    const grpc::Status status = hubs_->UpdateHub(As("owner").get(), request, &answer);
    if (updated != nullptr) *updated = answer;
    return ReasonOf(status);
  }
  std::string DekOf(const std::string& id) {
    v1::Document document;
    EXPECT_EQ(ReasonOf(Get(id, &document)), "OK");
    return document.envelope().dek_id();
  }
};

TEST_F(LifecycleTest, ARotatedDekSealsNewWritesAndOldDocumentsStayAsTheyAre) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("old", "{}")), "OK");
  const std::string before = DekOf("old");
  const Operation rotated = Await(Rotate());
  v1::RotateDekResult result;
  ASSERT_TRUE(rotated.response().UnpackTo(&result));
  EXPECT_EQ(result.generation().generation(), 2u);
  ASSERT_EQ(ReasonOf(Put("new", "{}")), "OK");
  EXPECT_EQ(DekOf("new"), result.generation().dek_id());
  EXPECT_EQ(DekOf("old"), before);
  ASSERT_EQ(KeyStatus().generations_size(), 2);
  EXPECT_TRUE(KeyStatus().generations(1).seals());
  owner_->Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", -1}}});
  EXPECT_EQ(DekOf("old"), before) << "an outage right after it is served through";
  EXPECT_EQ(ReasonOf(Put("new", "{}")), "OK");
  owner_->Script(nlohmann::json::array());
  StartServer();
  EXPECT_EQ(DekOf("old"), before);
  EXPECT_EQ(DekOf("new"), result.generation().dek_id());
}

TEST_F(LifecycleTest, OperationsAreListedReadDeletedAndSurviveARestart) {
  SetUpHub();
  const Operation first = Await(Rotate());
  const Operation second = Await(Rotate());
  StartServer();
  google::longrunning::ListOperationsRequest list;
  list.set_name(kHub);
  google::longrunning::ListOperationsResponse page;
  ASSERT_TRUE(operations()->ListOperations(As("reader").get(), list, &page).ok());
  ASSERT_EQ(page.operations_size(), 2);
  EXPECT_EQ(page.operations(0).name(), second.name()) << "newest first";
  v1::OperationMetadata metadata;
  ASSERT_TRUE(page.operations(0).metadata().UnpackTo(&metadata));
  EXPECT_EQ(metadata.kind(), "rotate-dek");
  google::longrunning::DeleteOperationRequest remove;
  remove.set_name(first.name());
  google::protobuf::Empty nothing;
  ASSERT_TRUE(operations()->DeleteOperation(As("key_admin").get(), remove, &nothing).ok());
  google::longrunning::GetOperationRequest get;
  get.set_name(first.name());
  Operation found;
  EXPECT_EQ(ReasonOf(operations()->GetOperation(As("reader").get(), get, &found)),
            "OPERATION_NOT_FOUND");
}

TEST_F(LifecycleTest, AHubsFieldsChangeByMaskAndEtag) {
  SetUpHub();
  v1::Hub wanted, updated;
  wanted.set_display_name("renamed");
  wanted.mutable_outage_grace()->set_seconds(60);
  EXPECT_EQ(UpdateHub(wanted, {"display_name"}, &updated), "OK");
  EXPECT_EQ(updated.outage_grace().seconds(), 3600) << "not in the mask";
  wanted.set_etag(updated.etag());
  EXPECT_EQ(UpdateHub(wanted, {"outage_grace"}, &updated), "OK");
  EXPECT_EQ(updated.outage_grace().seconds(), 60);
  EXPECT_EQ(UpdateHub(wanted, {"outage_grace"}), "ETAG_MISMATCH");
  wanted.clear_etag();
  EXPECT_EQ(UpdateHub(wanted, {}), "FIELD_INVALID");
  EXPECT_EQ(UpdateHub(wanted, {"state"}), "FIELD_INVALID");
  wanted.mutable_outage_grace()->set_seconds(25 * 3600);
  EXPECT_EQ(UpdateHub(wanted, {"outage_grace"}), "FIELD_INVALID");
  v1::GetHubRequest get;
  get.set_name(kHub);
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");  // so that the keys are at hand
  ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &updated).ok());
  EXPECT_EQ(updated.display_name(), "renamed");
}

TEST_F(LifecycleTest, AKeyChangesWithinItsVaultAndNoDocumentIsRewritten) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const std::string dek = DekOf("d1");
  owner_->Key("POST", "/keys/k2/create", {{"kty", "RSA"}, {"key_size", 2048}});
  v1::Hub wanted;
  v1::CustomerManagedKey& key = *wanted.mutable_encryption()->mutable_customer_managed();
  key.set_key_name("k2");
  EXPECT_EQ(UpdateHub(wanted, {"encryption.customer_managed.key_name"}), "OK");
  owner_->Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", -1}}});
  EXPECT_EQ(DekOf("d1"), dek) << "an outage right after the change darkens nothing";
  owner_->Script(nlohmann::json::array());
  EXPECT_NE(KeyStatus().generations(0).kek_id().find("/keys/k2/"), std::string::npos);
  SetKeyEnabled(false);  // of k1: the old key is needed no more
  StartServer();
  EXPECT_EQ(DekOf("d1"), dek);
  key.set_vault_uri("https://elsewhere.vault.azure.net");
  EXPECT_EQ(UpdateHub(wanted, {"encryption.customer_managed"}), "VAULT_CHANGE_REFUSED");
  wanted.mutable_encryption()->mutable_platform_managed();
  EXPECT_EQ(UpdateHub(wanted, {"encryption"}), "KEY_KIND_IMMUTABLE");
}

TEST_F(LifecycleTest, AHubIsUnderTheKeyThatItNamesWhateverElseIsChangedMeanwhile) {  // KL-13
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  owner_->Key("POST", "/keys/k2/create", {{"kty", "RSA"}, {"key_size", 2048}});
  // The checks of the new key wrap once, the change of the key does so again.
  owner_->Script({{{"operation", "wrapkey"}, {"skip", 1}, {"delay_ms", 700}, {"kind", "alter"}}});
  const int before = owner_->Admin("GET", "stats").value("wrapkey", 0);
  std::string changed;
  std::thread changing([&] {
    v1::Hub wanted;
    wanted.mutable_encryption()->mutable_customer_managed()->set_key_name("k2");
    changed = UpdateHub(wanted, {"encryption.customer_managed.key_name"});
  });
  // Counted as it arrives, then held. Before it, others may change the hub: ETAG_MISMATCH.
  while (owner_->Admin("GET", "stats").value("wrapkey", 0) < before + 2) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  const Operation rotating = Rotate();
  v1::Hub other;
  other.mutable_outage_grace()->set_seconds(60);
  EXPECT_EQ(UpdateHub(other, {"outage_grace"}), "OK");
  changing.join();
  EXPECT_EQ(changed, "OK");
  Await(rotating);
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
  EXPECT_EQ(hub.encryption().customer_managed().key_name(), "k2");
  EXPECT_EQ(hub.outage_grace().seconds(), 60);
  const v1::KeyStatus status = KeyStatus();
  ASSERT_EQ(status.generations_size(), 2);
  for (const v1::DekGeneration& generation : status.generations()) {
    EXPECT_THAT(generation.kek_id(), ::testing::HasSubstr("/keys/k2/"));
  }
}

TEST_F(LifecycleTest, AllowedNetworksAreForContentAndOthersAreDenied) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const auto through_tcp = [&] {
    auto stub = v1::DocumentService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials()));
    v1::GetDocumentRequest request;
    request.set_name(NameOf("d1"));
    v1::Document document;
    return ReasonOf(stub->GetDocument(As("reader").get(), request, &document));
  };
  EXPECT_EQ(through_tcp(), "OK");
  v1::Hub wanted;
  wanted.add_allowed_ip_ranges("10.0.0.0/8");
  EXPECT_EQ(UpdateHub(wanted, {"allowed_ip_ranges"}), "OK");
  EXPECT_EQ(through_tcp(), "NETWORK_DENIED");
  wanted.add_allowed_ip_ranges("127.0.0.0/8");
  EXPECT_EQ(UpdateHub(wanted, {"allowed_ip_ranges"}), "OK");
  EXPECT_EQ(through_tcp(), "OK");
  wanted.add_allowed_ip_ranges("127.0.0.1/8");
  EXPECT_EQ(UpdateHub(wanted, {"allowed_ip_ranges"}), "FIELD_INVALID");
}

TEST_F(LifecycleTest, ADeletedProjectTakesItsDocumentsAlong) {
  SetUpHub();
  v1::Document stored;
  ASSERT_EQ(ReasonOf(Put("d1", R"({"word": "canary"})", &stored)), "OK");
  v1::UpdateProjectRequest update;
  update.mutable_project()->set_name(kProject);
  update.mutable_project()->set_display_name("renamed");
  update.mutable_update_mask()->add_paths("display_name");
  v1::Project project;
  ASSERT_TRUE(projects_->UpdateProject(As("owner").get(), update, &project).ok());
  EXPECT_EQ(project.display_name(), "renamed");

  v1::DeleteProjectRequest remove;
  remove.set_name(kProject);
  google::protobuf::Empty nothing;
  EXPECT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), remove, &nothing)),
            "STATE_INVALID");
  remove.set_force(true);
  EXPECT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), remove, &nothing)), "OK");
  EXPECT_EQ(ReasonOf(Get("d1")), "PROJECT_NOT_FOUND");
  ASSERT_EQ(ReasonOf(CreateProject()), "OK");
  EXPECT_EQ(ReasonOf(Get("d1")), "DOCUMENT_NOT_FOUND") << "a new project of the same id is empty";
  ASSERT_EQ(ReasonOf(Put("d2", R"({"word": "other"})", &stored)), "OK");
  v1::SearchRequest search;
  search.set_parent(kHub);
  search.set_min_sequence(stored.sequence());
  v1::SearchResponse found;
  ASSERT_TRUE(search_->Search(As("reader").get(), search, &found).ok());
  EXPECT_EQ(found.total_size(), 1u);
}

TEST_F(LifecycleTest, AnIndexIsRebuiltOnDemand) {
  SetUpHub();
  for (int i = 0; i < 30; ++i)
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), R"({"a": "b"})")), "OK");
  v1::RebuildSearchIndexRequest request;
  request.set_name(absl::StrCat(kHub, "/searchIndex"));
  Operation operation;
  ASSERT_TRUE(search_->RebuildSearchIndex(As("owner").get(), request, &operation).ok());
  v1::SearchIndex index;
  ASSERT_TRUE(Await(operation).response().UnpackTo(&index));
  EXPECT_EQ(index.document_count(), 30u);
}

TEST_F(LifecycleTest, ARebuildThatCannotSucceedBesideAnotherIsNotStarted) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", R"({"a": "b"})")), "OK");
  v1::RebuildSearchIndexRequest request;
  request.set_name(absl::StrCat(kHub, "/searchIndex"));
  std::vector<Operation> started;
  for (int i = 0; i < 20; ++i) {
    Operation operation;
    const grpc::Status answer = search_->RebuildSearchIndex(As("owner").get(), request, &operation);
    if (answer.ok()) {
      started.push_back(operation);
    } else {
      EXPECT_EQ(ReasonOf(answer), "STATE_INVALID") << answer.error_message();
    }
  }
  for (const Operation& operation : started) EXPECT_TRUE(Await(operation).has_response());
}

TEST_F(LifecycleTest, ADeletedHubRefusesContentAndComesBackUndeleted) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", R"({"a": "b"})")), "OK");
  v1::DeleteHubRequest remove;
  remove.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->DeleteHub(As("owner").get(), remove, &hub).ok());
  EXPECT_EQ(hub.state(), v1::Hub::DELETED);
  EXPECT_EQ(ReasonOf(Get("d1")), "STATE_INVALID");
  v1::UndeleteHubRequest undelete;
  undelete.set_name(kHub);
  ASSERT_TRUE(hubs_->UndeleteHub(As("owner").get(), undelete, &hub).ok());
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(ReasonOf(hubs_->UndeleteHub(As("owner").get(), undelete, &hub)), "STATE_INVALID");
}

TEST_F(LifecycleTest, AWatchWithNothingToShowHoldsNobodyUp) {
  SetUpHub();
  // Neither the hub's creation nor a rotation is in the feed.
  for (const bool rotated : {false, true}) {
    if (rotated) Await(Rotate());
    v1::WatchDocumentsRequest request;
    request.set_parent(kHub);
    auto context = As("reader");
    auto stream = documents_->WatchDocuments(context.get(), request);
    KeyStatus();
    const std::string id = rotated ? "d2" : "d1";
    ASSERT_EQ(ReasonOf(Put(id, "{}")), "OK");
    std::vector<std::string> seen;
    while (seen.empty() || seen.back() != NameOf(id)) {
      v1::WatchDocumentsResponse part;
      ASSERT_TRUE(stream->Read(&part));
      for (const auto& change : part.changes()) seen.push_back(change.document().name());
    }
    EXPECT_EQ(seen.front(), NameOf("d1"));
    context->TryCancel();
    stream->Finish();
  }
}

TEST_F(LifecycleTest, AHubIsLockedAndUnlockedByTheFirstCallOfAProcess) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  StartServer();
  EXPECT_EQ(Lock().availability(), v1::KeyStatus::LOCKED_BY_PUSH);
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  StartServer();
  EXPECT_NE(Unlock().availability(), v1::KeyStatus::LOCKED_BY_PUSH);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
}

TEST_F(LifecycleTest, ALockedHubIsStillManaged) {  // KL-10
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::KeyStatus locked = Lock();
  EXPECT_GE(locked.last_receipt().keys_wiped(), 1u);
  EXPECT_EQ(Lock().last_receipt().SerializeAsString(), locked.last_receipt().SerializeAsString())
      << "the receipt of the lock that wiped the keys stays";
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::LOCKED_BY_PUSH);
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  EXPECT_EQ(ReasonOf(hubs_->GetHub(As("reader").get(), get, &hub)), "OK");
  v1::ListHubsRequest hubs;
  hubs.set_parent(absl::StrCat("tenants/", kTenant));
  v1::ListHubsResponse listed;
  EXPECT_EQ(ReasonOf(hubs_->ListHubs(As("reader").get(), hubs, &listed)), "OK");
  EXPECT_EQ(listed.hubs_size(), 1);
  v1::GetProjectRequest project;
  project.set_name(kProject);
  v1::Project found;
  EXPECT_EQ(ReasonOf(projects_->GetProject(As("reader").get(), project, &found)), "OK");
  v1::ListProjectsRequest projects;
  projects.set_parent(kHub);
  v1::ListProjectsResponse of_hub;
  EXPECT_EQ(ReasonOf(projects_->ListProjects(As("reader").get(), projects, &of_hub)), "OK");
  EXPECT_EQ(of_hub.projects_size(), 1);
  v1::DeleteProjectRequest drop;
  drop.set_name(kProject);
  drop.set_force(true);
  google::protobuf::Empty nothing;
  EXPECT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), drop, &nothing)), "OK");
  EXPECT_EQ(ReasonOf(projects_->GetProject(As("reader").get(), project, &found)),
            "PROJECT_NOT_FOUND");
  v1::DeleteHubRequest remove;
  remove.set_name(kHub);
  EXPECT_EQ(ReasonOf(hubs_->DeleteHub(As("owner").get(), remove, &hub)), "OK");
}

}  // namespace
}  // namespace cmkstore
