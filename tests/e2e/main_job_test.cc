// The main job on real parts: a dev vault over HTTPS, the server in process, RocksDB on disk.

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

using MainJobTest = ServedHub;

TEST_F(MainJobTest, ADocumentIsStoredReadListedAndDeleted) {
  SetUpHub();
  v1::Document stored, found;
  ASSERT_EQ(ReasonOf(Put("d1", R"({"metric": 0.93})", &stored)), "OK");
  EXPECT_EQ(stored.revision(), 1u);
  ASSERT_EQ(ReasonOf(Get("d1", &found)), "OK");
  EXPECT_EQ(found.content(), R"({"metric": 0.93})");
  EXPECT_EQ(found.labels().at("canary-label"), "canary-label-value");
  EXPECT_EQ(found.etag(), stored.etag());

  v1::ListDocumentsRequest list;
  list.set_parent(absl::StrCat(kProject, "/collections/-"));
  v1::ListDocumentsResponse page;
  ASSERT_TRUE(documents_->ListDocuments(As("reader").get(), list, &page).ok());
  ASSERT_EQ(page.documents_size(), 1);
  EXPECT_EQ(page.documents(0).name(), NameOf("d1"));

  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d1"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  EXPECT_EQ(ReasonOf(Get("d1")), "DOCUMENT_NOT_FOUND");
}

TEST_F(MainJobTest, TheWithdrawnKeyDarkensTheHubAndTheReturnedKeyLosesNothing) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", R"({"kept": true})")), "OK");
  SetKeyEnabled(false);
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(ReasonOf(Put("d2", "{}")), "CUSTOMER_KEY_REVOKED");
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
  EXPECT_EQ(hub.state(), v1::Hub::LOCKED);
  EXPECT_EQ(hub.display_name(), "");
  v1::GetKeyStatusRequest ask;
  ask.set_name(absl::StrCat(kHub, "/key"));
  v1::KeyStatus status;
  // Calls are refused before the index is closed and the receipt written.
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  do {
    ASSERT_TRUE(keys_->GetKeyStatus(As("reader").get(), ask, &status).ok());
  } while (!status.has_last_receipt() && absl::Now() < give_up);
  EXPECT_EQ(status.availability(), v1::KeyStatus::DENIED);
  EXPECT_GE(status.last_receipt().keys_wiped(), 1u);

  SetKeyEnabled(true);
  AwaitReason("OK");
  v1::Document found;
  ASSERT_EQ(ReasonOf(Get("d1", &found)), "OK");
  EXPECT_EQ(found.content(), R"({"kept": true})");
}

TEST_F(MainJobTest, APushLockHoldsAtOnceAndAcrossARestart) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  Lock();
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  Unlock();
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
}

TEST_F(MainJobTest, AcknowledgedDocumentsAreThereAfterARestartWithoutAVaultCallEach) {
  SetUpHub();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), "{}")), "OK");
  StartServer();
  const int before = owner_->UnwrapCalls();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ReasonOf(Get(absl::StrCat("d", i))), "OK");
  EXPECT_LE(owner_->UnwrapCalls() - before, 3);
}

TEST_F(MainJobTest, AStaleEtagIsRefusedAndAMatchingOneIsNot) {
  SetUpHub();
  v1::Document first, second;
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &first)), "OK");
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &second, first.etag())), "OK");
  EXPECT_EQ(second.revision(), 2u);
  EXPECT_EQ(ReasonOf(Put("d1", "{}", nullptr, first.etag())), "ETAG_MISMATCH");
}

TEST_F(MainJobTest, ABatchIsAllOrNothingAndARequestIdGivesTheFirstAnswer) {
  SetUpHub();
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  batch.add_writes()->mutable_create()->set_name(NameOf("a"));
  batch.add_writes()->set_delete_(NameOf("missing"));
  v1::BatchWriteDocumentsResponse response;
  EXPECT_EQ(ReasonOf(documents_->BatchWriteDocuments(As("contributor").get(), batch, &response)),
            "DOCUMENT_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Get("a")), "DOCUMENT_NOT_FOUND");

  batch.mutable_writes()->RemoveLast();
  // Maps have no order in memory; a repeat must be known as one all the same.
  auto& labels = *batch.mutable_writes(0)->mutable_create()->mutable_labels();
  for (int i = 0; i < 16; ++i) labels[absl::StrCat("label-", i)] = "value";
  batch.set_request_id("6b9c7a58-0a63-4d4f-9b13-6f1f5d3f2a10");
  ASSERT_TRUE(documents_->BatchWriteDocuments(As("contributor").get(), batch, &response).ok());
  const std::string etag = response.documents(0).etag();
  ASSERT_TRUE(documents_->BatchWriteDocuments(As("contributor").get(), batch, &response).ok());
  EXPECT_EQ(response.documents(0).etag(), etag) << "the repeat must not write again";
}

TEST_F(MainJobTest, WritersOfOneDocumentComeOneAfterTheOther) {
  SetUpHub();
  std::vector<std::string> reasons(48);
  std::vector<std::thread> writers;
  for (std::string& reason : reasons) {
    writers.emplace_back([&] { reason = ReasonOf(Put("d1", "{}")); });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_THAT(reasons, ::testing::Each("OK"));
  v1::Document last;
  ASSERT_EQ(ReasonOf(Get("d1", &last)), "OK");
  EXPECT_EQ(last.revision(), 48u) << "each came after another, and none was lost";
}

TEST_F(MainJobTest, AStartAsksNoVault) {  // KL-9
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  server_.reset();
  owner_->Admin("DELETE", "stats");
  StartServer();
  v1::ListHubsRequest nothing_of_a_hub;
  nothing_of_a_hub.set_parent("tenants/22222222-2222-4333-8444-555555555555");
  v1::ListHubsResponse listed;
  EXPECT_EQ(ReasonOf(hubs_->ListHubs(As("owner").get(), nothing_of_a_hub, &listed)),
            "ACCESS_DENIED");
  EXPECT_EQ(owner_->Admin("GET", "stats"), nlohmann::json::object());
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_NE(owner_->Admin("GET", "stats"), nlohmann::json::object()) << "the vault counts";
}

TEST_F(MainJobTest, AWatchFromNoPlaceOrFromTwoIsToldSo) {
  SetUpHub();
  v1::Document stored;
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &stored)), "OK");
  for (const auto& [after, from_now] :
       {std::pair(uint64_t{1'000'000}, false), std::pair(stored.sequence(), true)}) {
    v1::WatchDocumentsRequest request;
    request.set_parent(kHub);
    request.set_after_sequence(after);
    request.set_from_now(from_now);
    auto context = As("reader");
    auto stream = documents_->WatchDocuments(context.get(), request);
    v1::WatchDocumentsResponse part;
    EXPECT_FALSE(stream->Read(&part));
    EXPECT_EQ(ReasonOf(stream->Finish()), "FIELD_INVALID");
  }
}

TEST_F(MainJobTest, AWatchShowsACommitTooLargeForOnePartInSeveral) {
  SetUpHub();
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  for (int i = 0; i < 5; ++i) {
    v1::Document& document = *batch.add_writes()->mutable_create();
    document.set_name(NameOf(absl::StrCat("e", i)));
    document.set_content("{}");
  }
  v1::BatchWriteDocumentsResponse written;
  ASSERT_EQ(ReasonOf(documents_->BatchWriteDocuments(As("contributor").get(), batch, &written)),
            "OK");
  for (int i = 0; i < 5; ++i) {  // small when they were committed together, large now
    const std::string content = absl::StrCat("{\"v\":\"", std::string(900'000, 'x'), "\"}");
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("e", i), content)), "OK");
  }
  v1::WatchDocumentsRequest request;
  request.set_parent(kProject);
  request.set_after_sequence(written.sequence() - 1);
  request.set_view(v1::FULL);
  auto context = As("reader");
  auto stream = documents_->WatchDocuments(context.get(), request);
  int of_the_batch = 0, parts = 0;
  v1::WatchDocumentsResponse part;
  while (of_the_batch < 5 && stream->Read(&part)) {
    ++parts;
    EXPECT_LT(part.ByteSizeLong(), 3u << 20);
    for (const v1::DocumentChange& change : part.changes()) {
      of_the_batch += change.sequence() == written.sequence() ? 1 : 0;
    }
    EXPECT_EQ(part.sequence() < written.sequence(), of_the_batch < 5);
  }
  EXPECT_EQ(of_the_batch, 5);
  EXPECT_GE(parts, 3);
  context->TryCancel();
}

TEST_F(MainJobTest, AWatchSeesPutsAndDeletesInOrderAndEndsWhenTheHubLocks) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  v1::WatchDocumentsRequest request;
  request.set_parent(kHub);
  auto context = As("reader");
  auto stream = documents_->WatchDocuments(context.get(), request);
  std::vector<std::string> seen;
  v1::WatchDocumentsResponse part;
  ASSERT_TRUE(stream->Read(&part));
  for (const auto& change : part.changes()) seen.push_back(change.document().name());
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d1"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  ASSERT_TRUE(stream->Read(&part));
  ASSERT_EQ(part.changes_size(), 1);
  EXPECT_EQ(part.changes(0).kind(), v1::DocumentChange::DELETED);
  EXPECT_EQ(part.changes(0).document().name(), NameOf("d1"));
  ASSERT_EQ(seen, std::vector<std::string>{NameOf("d1")});
  Lock();
  while (stream->Read(&part)) {
  }
  EXPECT_EQ(ReasonOf(stream->Finish()), "HUB_LOCKED");
}

TEST_F(MainJobTest, AuthenticationComesBeforeAuthorizationAndThatBeforeTheNamesForm) {
  SetUpHub();
  v1::GetDocumentRequest request;
  request.set_name("nonsense");
  v1::Document document;
  grpc::ClientContext nobody;
  EXPECT_EQ(ReasonOf(documents_->GetDocument(&nobody, request, &document)), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(documents_->GetDocument(As("reader").get(), request, &document)),
            "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(Get("d1", nullptr, "key_admin")), "ACCESS_DENIED");
  request.set_name("tenants/other/hubs/h1/projects/p1/collections/c/documents/d");
  EXPECT_EQ(ReasonOf(documents_->GetDocument(As("owner").get(), request, &document)),
            "ACCESS_DENIED");
}

TEST_F(MainJobTest, AnUnfitKeyIsRefusedAtCreationWithEveryFailedCheck) {
  owner_->Key("POST", "/keys/k2/create", {{"kty", "RSA"}, {"key_ops", {"sign"}}});
  const grpc::Status status = CreateHub(nullptr, "k2");
  EXPECT_EQ(ReasonOf(status), "CUSTOMER_KEY_UNFIT");
  EXPECT_NE(status.error_message().find("key_ops"), std::string::npos) << status.error_message();
  EXPECT_NE(status.error_message().find("wrap"), std::string::npos);
}

TEST_F(MainJobTest, LimitsAreNamedInTheRefusal) {
  SetUpHub();
  const auto refuse = [&](const std::string& id, const std::string& content,
                          const std::string& fragment) {
    const grpc::Status status = Put(id, content);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << fragment;
    EXPECT_NE(status.error_message().find(fragment), std::string::npos) << status.error_message();
  };
  refuse("d1", "not json", "well-formed JSON");
  refuse("d1", "\"" + std::string((1 << 20), 'x') + "\"", "1048576");
  refuse(std::string(129, 'x'), "{}", "128 characters");
  refuse("-d", "{}", "begin with a letter");
  v1::GetDocumentRequest nameless;
  v1::Document found;
  const grpc::Status status = documents_->GetDocument(As("reader").get(), nameless, &found);
  EXPECT_NE(status.error_message().find("/collections/{collection}/documents/{document}"),
            std::string::npos)
      << status.error_message();
}

// Everything a caller supplies but hub and project ids is nowhere on disk, nor in the log.
TEST_F(MainJobTest, NoPlaintextAtRest) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("canary-document-id", R"({"canary-content": "canary-content"})")), "OK");
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("canary-document-id"));
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(documents_->DeleteDocument(As("contributor").get(), remove, &removed).ok());
  ASSERT_EQ(ReasonOf(Put("canary-document-id", R"({"canary-content": "canary-content"})")), "OK");
  server_.reset();
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_EQ(ReadFile(entry.path().string())->find("canary"), std::string::npos) << entry.path();
  }
  EXPECT_GT(files, 10);
}

}  // namespace
}  // namespace cmkstore
