// What a request may hold, what its refusals say, and what a repeat is told.

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

class RequestsTest : public ServedHub {
 protected:
  void SetUp() override {
    SetUpHub();
    ASSERT_FALSE(HasFatalFailure());
  }
  template <typename Detail>
  static std::optional<Detail> DetailOf(const grpc::Status& status) {
    google::rpc::Status wire;
    wire.ParseFromString(status.error_details());
    for (const auto& detail : wire.details()) {
      if (Detail found; detail.UnpackTo(&found)) return found;
    }
    return std::nullopt;
  }
  // OK, or the field that was refused with FIELD_INVALID, or the reason.
  static std::string FieldOf(const grpc::Status& status) {
    if (ReasonOf(status) != "FIELD_INVALID") return ReasonOf(status);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    const auto detail = DetailOf<google::rpc::BadRequest>(status);
    return detail.has_value() ? detail->field_violations(0).field() : "no BadRequest";
  }
  grpc::Status CreateDocument(const std::string& id, const std::string& request_id,
                              v1::Document* stored) {
    v1::CreateDocumentRequest request;
    request.set_parent(absl::StrCat(kProject, "/collections/c"));
    request.set_document_id(id);
    request.set_request_id(request_id);
    request.mutable_document()->set_content("{}");
    return documents_->CreateDocument(As("contributor").get(), request, stored);
  }
  grpc::Status WriteBatch(const v1::BatchWriteDocumentsRequest& batch) {
    v1::BatchWriteDocumentsResponse response;
    return documents_->BatchWriteDocuments(As("contributor").get(), batch, &response);
  }
  grpc::Status ListOf(int page_size, const std::string& token = "", size_t* count = nullptr,
                      const std::string& role = "reader") {
    v1::ListDocumentsRequest request;
    request.set_parent(absl::StrCat(kProject, "/collections/-"));
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListDocumentsResponse response;
    const grpc::Status status = documents_->ListDocuments(As(role).get(), request, &response);
    if (count != nullptr) *count = static_cast<size_t>(response.documents_size());
    next_ = response.next_page_token();
    return status;
  }

  std::string next_;
};

constexpr char kRequestId[] = "6b9c7a58-0a63-4d4f-9b13-6f1f5d3f2a10";

// Limits are those of tests/service/bounds_test.cc.
TEST_F(RequestsTest, IdsHaveACharacterAndBeginWithALetterOrDigit) {
  v1::Document stored;
  EXPECT_EQ(FieldOf(CreateDocument("a", "", &stored)), "OK");
  EXPECT_EQ(FieldOf(CreateDocument("0._~-Z", "", &stored)), "OK");
  for (const std::string& id :
       {std::string(), std::string("-a"), std::string(".a"), std::string("_a"), std::string("~a"),
        std::string("a/b"), std::string("a b"), std::string("a\0b", 3), std::string("\xc3\xa9")}) {
    if (id.size() == 2 && id[0] == '\xc3') {
      EXPECT_EQ(FieldOf(CreateDocument(id, "", &stored)), "document_id");
      continue;
    }
    EXPECT_EQ(FieldOf(CreateDocument(id, "", &stored)), "document_id") << id;
  }
  for (const std::string& id : {std::string(), std::string("-p")}) {
    v1::CreateProjectRequest project;
    project.set_parent(kHub);
    project.set_project_id(id);
    v1::Project made;
    EXPECT_EQ(FieldOf(projects_->CreateProject(As("owner").get(), project, &made)), "project_id");
    v1::CreateHubRequest hub;
    hub.set_parent(absl::StrCat("tenants/", kTenant));
    hub.set_hub_id(id);
    hub.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub made_hub;
    EXPECT_EQ(FieldOf(hubs_->CreateHub(As("owner").get(), hub, &made_hub)), "hub_id");
  }
}

TEST_F(RequestsTest, AWriteOfABatchIsNamedByItsPath) {
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  EXPECT_EQ(FieldOf(WriteBatch(batch)), "writes") << "has none";
  batch.add_writes()->mutable_upsert()->set_name(NameOf("a"));
  batch.add_writes();
  EXPECT_EQ(FieldOf(WriteBatch(batch)), "writes[1]");
  batch.mutable_writes(1)->mutable_create()->set_name("nonsense");
  EXPECT_EQ(FieldOf(WriteBatch(batch)), "writes[1].create.name");
  batch.mutable_writes(1)->mutable_create()->set_name(NameOf("b"));
  batch.mutable_writes(1)->mutable_create()->set_content("{");
  EXPECT_EQ(FieldOf(WriteBatch(batch)), "writes[1].create.content");
  batch.mutable_writes(1)->set_delete_(NameOf("a"));
  EXPECT_EQ(FieldOf(WriteBatch(batch)), "writes[1]") << "names a document twice";
  batch.mutable_writes(1)->set_delete_(
      absl::StrCat("tenants/", kTenant, "/hubs/other/projects/p1/collections/c/documents/d"));
  EXPECT_EQ(FieldOf(WriteBatch(batch)), "writes[1]") << "is of another hub";
}

TEST_F(RequestsTest, WhatAWriteOfABatchDoesNotFindNamesTheWriteWhateverItsCode) {
  const auto place_of = [](const grpc::Status& status) -> std::string {
    const auto detail = DetailOf<google::rpc::BadRequest>(status);
    return detail.has_value() ? detail->field_violations(0).field() : "none";
  };
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  batch.add_writes()->mutable_upsert()->set_name(NameOf("a"));
  batch.add_writes()->mutable_upsert()->set_name(
      absl::StrCat(kHub, "/projects/none/collections/c/documents/d"));
  grpc::Status status = WriteBatch(batch);
  EXPECT_EQ(ReasonOf(status), "PROJECT_NOT_FOUND");
  EXPECT_EQ(place_of(status), "writes[1]");
  batch.mutable_writes(1)->set_delete_(NameOf("absent"));
  status = WriteBatch(batch);
  EXPECT_EQ(ReasonOf(status), "DOCUMENT_NOT_FOUND");
  EXPECT_EQ(place_of(status), "writes[1]");
  batch.mutable_writes()->DeleteSubrange(0, 1);
  EXPECT_EQ(place_of(WriteBatch(batch)), "writes[0]") << "also of a batch of one";
}

TEST_F(RequestsTest, PagesHave50DocumentsByDefaultAndAtMost1000) {
  for (int batch_number = 0; batch_number < 3; ++batch_number) {
    v1::BatchWriteDocumentsRequest batch;
    batch.set_parent(kHub);
    for (int i = 0; i < 400; ++i) {
      batch.add_writes()->mutable_upsert()->set_name(
          NameOf(absl::StrCat("d", batch_number, "-", i)));
    }
    ASSERT_EQ(FieldOf(WriteBatch(batch)), "OK");
  }
  size_t count = 0;
  for (const auto& [size, expected] :
       {std::pair<int, size_t>{0, 50}, {1, 1}, {999, 999}, {1000, 1000}}) {
    EXPECT_EQ(FieldOf(ListOf(size, "", &count)), "OK");
    EXPECT_EQ(count, expected);
  }
  EXPECT_EQ(FieldOf(ListOf(1001)), "page_size");
  EXPECT_EQ(FieldOf(ListOf(-1)), "page_size");

  // A token is its caller's and its question's.
  ASSERT_EQ(FieldOf(ListOf(1000)), "OK");
  const std::string token = next_;
  EXPECT_EQ(FieldOf(ListOf(7, token, &count)), "OK") << "another page size is the same question";
  EXPECT_EQ(FieldOf(ListOf(1000, token, &count)), "OK");
  EXPECT_EQ(count, 200u);
  EXPECT_EQ(FieldOf(ListOf(1000, token, nullptr, "contributor")), "page_token");
  EXPECT_EQ(FieldOf(ListOf(1000, token + "A")), "page_token");
  v1::ListDocumentsRequest other;
  other.set_parent(absl::StrCat(kProject, "/collections/c"));
  other.set_page_token(token);
  v1::ListDocumentsResponse page;
  EXPECT_EQ(FieldOf(documents_->ListDocuments(As("reader").get(), other, &page)), "page_token");
  other.clear_page_token();
  other.set_view(static_cast<v1::DocumentView>(7));
  EXPECT_EQ(FieldOf(documents_->ListDocuments(As("reader").get(), other, &page)), "view");
}

TEST_F(RequestsTest, ARepeatedWriteIsToldTheFirstResultWithItsSequence) {
  v1::Document first, repeated;
  ASSERT_EQ(ReasonOf(CreateDocument("a", kRequestId, &first)), "OK");
  EXPECT_TRUE(first.content().empty());
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ReasonOf(Put(absl::StrCat("later", i), "{}")), "OK");
  ASSERT_EQ(ReasonOf(CreateDocument("a", kRequestId, &repeated)), "OK");
  EXPECT_EQ(repeated.SerializeAsString(), first.SerializeAsString());
  EXPECT_GT(first.sequence(), 0u);
  EXPECT_EQ(FieldOf(CreateDocument("b", kRequestId, &repeated)), "request_id")
      << "the same id with another request";
  EXPECT_EQ(FieldOf(CreateDocument("b", "no UUID", &repeated)), "request_id");
  EXPECT_EQ(FieldOf(CreateDocument("b", "00000000-0000-0000-0000-000000000000", &repeated)),
            "request_id");
  ASSERT_EQ(ReasonOf(CreateDocument("a", absl::AsciiStrToUpper(kRequestId), &repeated)), "OK");
  EXPECT_EQ(repeated.SerializeAsString(), first.SerializeAsString()) << "the same id in capitals";

  StartServer();
  ASSERT_EQ(ReasonOf(CreateDocument("a", kRequestId, &repeated)), "OK");
  EXPECT_EQ(repeated.SerializeAsString(), first.SerializeAsString());

  clock_.Advance(absl::Hours(24) + absl::Minutes(1));
  StartServer();
  EXPECT_EQ(ReasonOf(CreateDocument("a", kRequestId, &repeated)), "DOCUMENT_ALREADY_EXISTS");
  v1::Document anew;
  ASSERT_EQ(ReasonOf(CreateDocument("b", kRequestId, &anew)), "OK");
  ASSERT_EQ(ReasonOf(CreateDocument("b", kRequestId, &repeated)), "OK");
  EXPECT_EQ(repeated.SerializeAsString(), anew.SerializeAsString());
}

TEST_F(RequestsTest, ARepeatedDeletionThatFoundNothingDeletesNothingThatWasMadeSince) {
  ASSERT_EQ(ReasonOf(Put("other", "{}")), "OK");  // the collection has something in its feed
  v1::DeleteDocumentRequest remove;
  remove.set_name(NameOf("d1"));
  remove.set_allow_missing(true);
  remove.set_request_id(kRequestId);
  v1::DeleteDocumentResponse removed;
  ASSERT_EQ(ReasonOf(documents_->DeleteDocument(As("owner").get(), remove, &removed)), "OK");
  EXPECT_EQ(removed.sequence(), 0u) << "there was nothing to delete";
  v1::Document stored;
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &stored)), "OK");
  ASSERT_EQ(ReasonOf(documents_->DeleteDocument(As("owner").get(), remove, &removed)), "OK");
  EXPECT_EQ(removed.sequence(), 0u);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  // What follows the feed gets past a commit that changed no document.
  v1::SearchRequest search;
  search.set_parent(kHub);
  search.set_min_sequence(stored.sequence());
  v1::SearchResponse found;
  ASSERT_EQ(ReasonOf(search_->Search(As("reader").get(), search, &found)), "OK");
  EXPECT_EQ(found.hits_size(), 2);
}

TEST_F(RequestsTest, ARepeatedCreationOfAHubOrProjectIsToldTheFirstResult) {
  v1::CreateHubRequest request;
  request.set_parent(absl::StrCat("tenants/", kTenant));
  request.set_hub_id("h2");
  request.set_request_id(kRequestId);
  request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
  request.mutable_hub()->set_display_name("second");
  v1::Hub first, repeated;
  ASSERT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), request, &first)), "OK");
  ASSERT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), request, &repeated)), "OK");
  EXPECT_EQ(repeated.SerializeAsString(), first.SerializeAsString());
  request.mutable_hub()->set_display_name("another");
  EXPECT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), request, &repeated)),
            "HUB_ALREADY_EXISTS");

  v1::CreateProjectRequest project;
  project.set_parent(kHub);
  project.set_project_id("p2");
  project.set_request_id(kRequestId);
  v1::Project made, again;
  ASSERT_EQ(ReasonOf(projects_->CreateProject(As("owner").get(), project, &made)), "OK");
  ASSERT_EQ(ReasonOf(projects_->CreateProject(As("owner").get(), project, &again)), "OK");
  EXPECT_EQ(again.SerializeAsString(), made.SerializeAsString());
  project.clear_request_id();
  EXPECT_EQ(ReasonOf(projects_->CreateProject(As("owner").get(), project, &again)),
            "PROJECT_ALREADY_EXISTS");
}

TEST_F(RequestsTest, ADeletedHubIsPurgedAfterItsRetentionAndLeavesAReceipt) {
  ASSERT_EQ(ReasonOf(Put("d1", R"({"a": "b"})")), "OK");
  v1::Document found;
  ASSERT_EQ(ReasonOf(Get("d1", &found)), "OK");
  v1::DeleteHubRequest remove;
  remove.set_name(kHub);
  v1::Hub hub;
  ASSERT_EQ(ReasonOf(hubs_->DeleteHub(As("owner").get(), remove, &hub)), "OK");
  const auto purge_time = hub.purge_time();
  clock_.Advance(absl::Hours(24 * 6));
  StartServer();
  ASSERT_EQ(ReasonOf(hubs_->DeleteHub(As("owner").get(), remove, &hub)), "OK");
  EXPECT_EQ(hub.purge_time().seconds(), purge_time.seconds()) << "the first deletion counts";
  clock_.Advance(absl::Hours(25));
  StartServer();
  v1::GetHubRequest get;
  get.set_name(kHub);
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (!hub.purge_receipt().has_finish_time() && absl::Now() < give_up) {
    ASSERT_EQ(ReasonOf(hubs_->GetHub(As("owner").get(), get, &hub)), "OK");
  }
  EXPECT_EQ(hub.state(), v1::Hub::PURGED);
  ASSERT_TRUE(hub.purge_receipt().has_finish_time());
  ASSERT_EQ(hub.purge_receipt().destroyed_dek_ids_size(), 1);
  EXPECT_EQ(hub.purge_receipt().destroyed_dek_ids(0), found.envelope().dek_id());
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_NOT_FOUND");
  v1::UndeleteHubRequest undelete;
  undelete.set_name(kHub);
  EXPECT_EQ(ReasonOf(hubs_->UndeleteHub(As("owner").get(), undelete, &hub)), "HUB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(CreateHub()), "HUB_ALREADY_EXISTS") << "its id is never given again";
  v1::ListHubsRequest list;
  list.set_parent(absl::StrCat("tenants/", kTenant));
  v1::ListHubsResponse page;
  ASSERT_EQ(ReasonOf(hubs_->ListHubs(As("owner").get(), list, &page)), "OK");
  EXPECT_EQ(page.hubs_size(), 0);
  list.set_show_deleted(true);
  ASSERT_EQ(ReasonOf(hubs_->ListHubs(As("owner").get(), list, &page)), "OK");
  EXPECT_EQ(page.hubs_size(), 1);
}

TEST_F(RequestsTest, AuthorizationComesBeforeExistenceAndEveryRefusalNamesItsRequest) {
  const std::string stranger = "tenants/22222222-2222-4333-8444-555555555555/hubs/";
  for (const char* hub : {"h1", "absent"}) {
    v1::GetHubRequest get;
    get.set_name(stranger + hub);
    v1::Hub found;
    const grpc::Status status = hubs_->GetHub(As("owner").get(), get, &found);
    EXPECT_EQ(ReasonOf(status), "ACCESS_DENIED");
    EXPECT_EQ(DetailOf<google::rpc::RequestInfo>(status)->request_id().size(), 16u);
  }
  v1::GetDocumentRequest get;
  get.set_name(absl::StrCat(stranger, "h1/projects/p1/collections/!!/documents/!!"));
  v1::Document found;
  EXPECT_EQ(ReasonOf(documents_->GetDocument(As("owner").get(), get, &found)), "ACCESS_DENIED");
  get.set_name(NameOf("d1"));
  EXPECT_EQ(ReasonOf(documents_->GetDocument(As("auditor").get(), get, &found)), "ACCESS_DENIED");
  grpc::ClientContext anonymous;
  const grpc::Status status = documents_->GetDocument(&anonymous, get, &found);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ReasonOf(status), "TOKEN_INVALID");
  EXPECT_EQ(DetailOf<google::rpc::RequestInfo>(status)->request_id().size(), 16u);
}

TEST_F(RequestsTest, ValidateOnlyStoresNothing) {
  v1::CreateDocumentRequest create;
  create.set_parent(absl::StrCat(kProject, "/collections/canary-flows"));
  create.set_document_id("d1");
  create.set_validate_only(true);
  v1::Document document;
  EXPECT_EQ(ReasonOf(documents_->CreateDocument(As("contributor").get(), create, &document)), "OK");
  EXPECT_EQ(ReasonOf(Get("d1")), "DOCUMENT_NOT_FOUND");
  v1::CreateProjectRequest project;
  project.set_parent(kHub);
  project.set_project_id("p2");
  project.set_validate_only(true);
  v1::Project made;
  EXPECT_EQ(ReasonOf(projects_->CreateProject(As("owner").get(), project, &made)), "OK");
  v1::GetProjectRequest get;
  get.set_name(absl::StrCat(kHub, "/projects/p2"));
  EXPECT_EQ(ReasonOf(projects_->GetProject(As("owner").get(), get, &made)), "PROJECT_NOT_FOUND");
}

TEST_F(RequestsTest, AnUpdateMaskLeavesTheRestAsItIs) {
  ASSERT_EQ(ReasonOf(Put("d1", R"({"old": 1})")), "OK");
  v1::UpdateDocumentRequest request;
  request.mutable_document()->set_name(NameOf("d1"));
  request.mutable_document()->set_content("ignored");
  (*request.mutable_document()->mutable_labels())["new"] = "label";
  request.mutable_update_mask()->add_paths("labels");
  v1::Document document;
  ASSERT_EQ(ReasonOf(documents_->UpdateDocument(As("contributor").get(), request, &document)),
            "OK");
  ASSERT_EQ(ReasonOf(Get("d1", &document)), "OK");
  EXPECT_EQ(document.content(), R"({"old": 1})");
  EXPECT_EQ(document.labels_size(), 1);
  EXPECT_EQ(document.labels().at("new"), "label");
  request.mutable_update_mask()->add_paths("revision");
  EXPECT_EQ(FieldOf(documents_->UpdateDocument(As("contributor").get(), request, &document)),
            "update_mask");
}

TEST_F(RequestsTest, OfDocumentsLargerThanABatchAllAreDeletedAtOnceButNotRead) {
  v1::BatchGetDocumentsRequest read;
  read.set_parent(kHub);
  read.set_view(v1::BASIC);
  v1::BatchWriteDocumentsRequest remove;
  remove.set_parent(kHub);
  for (int i = 0; i < 18; ++i) {
    v1::UpdateDocumentRequest put;
    put.mutable_document()->set_name(NameOf(absl::StrCat("d", i)));
    put.mutable_document()->set_content(std::string(1u << 20, 'x'));
    put.mutable_document()->set_content_type("text/plain");
    put.set_allow_missing(true);
    v1::Document stored;
    ASSERT_EQ(ReasonOf(documents_->UpdateDocument(As("contributor").get(), put, &stored)), "OK");
    read.add_names(stored.name());
    remove.add_writes()->set_delete_(stored.name());
  }
  v1::BatchGetDocumentsResponse found;
  const grpc::Status refused = documents_->BatchGetDocuments(As("reader").get(), read, &found);
  EXPECT_EQ(FieldOf(refused), "names");
  EXPECT_THAT(refused.error_message(), ::testing::HasSubstr("8 MiB"));
  read.mutable_names()->DeleteSubrange(7, 11);
  ASSERT_EQ(ReasonOf(documents_->BatchGetDocuments(As("reader").get(), read, &found)), "OK");
  EXPECT_EQ(found.documents_size(), 7);
  EXPECT_EQ(ReasonOf(WriteBatch(remove)), "OK");
  size_t left = 1;
  EXPECT_EQ(ReasonOf(ListOf(10, "", &left)), "OK");
  EXPECT_EQ(left, 0u);
}

}  // namespace
}  // namespace cmkstore
