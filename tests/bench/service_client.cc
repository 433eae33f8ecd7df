#include "tests/bench/service_client.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "tests/bench/corpus.h"

namespace cmkstore::bench {
namespace {

constexpr uint64_t kBatch = 250;

absl::Status Told(const std::string& what, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": ", status.error_message()));
}

}  // namespace

ServiceClient::ServiceClient(std::shared_ptr<grpc::Channel> channel, const std::string& credentials,
                             const std::string& tenant)
    : tenant_(tenant),
      token_("Bearer " + ReadFile(credentials + "/contributor.token").value_or("")),
      owner_token_("Bearer " + ReadFile(credentials + "/owner.token").value_or("")),
      hubs_(v1::HubService::NewStub(channel)),
      projects_(v1::ProjectService::NewStub(channel)),
      documents_(v1::DocumentService::NewStub(channel)),
      searches_(v1::SearchService::NewStub(channel)) {}

std::string ServiceClient::HubName(const std::string& hub) const {
  return absl::StrCat("tenants/", tenant_, "/hubs/", hub);
}

std::string ServiceClient::ProjectName(const std::string& hub) const {
  return absl::StrCat(HubName(hub), "/projects/p");
}

std::unique_ptr<grpc::ClientContext> ServiceClient::NewContext(const std::string& token) const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization", token);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

absl::Status ServiceClient::CreateHub(const std::string& hub, const std::string& vault_url) {
  v1::CreateHubRequest request;
  request.set_parent(absl::StrCat("tenants/", tenant_));
  request.set_hub_id(hub);
  auto& key = *request.mutable_hub()->mutable_encryption()->mutable_customer_managed();
  key.set_vault_uri(vault_url);
  key.set_key_name("hub-key");
  v1::Hub created;
  CMK_RETURN_IF_ERROR(
      Told("creating a hub", hubs_->CreateHub(NewContext(owner_token_).get(), request, &created)));
  v1::CreateProjectRequest project;
  project.set_parent(HubName(hub));
  project.set_project_id("p");
  v1::Project answer;
  return Told("creating a project",
              projects_->CreateProject(NewContext(owner_token_).get(), project, &answer));
}

absl::Status ServiceClient::Fill(const std::string& hub, uint64_t begin, uint64_t end) {
  const std::string project = ProjectName(hub);
  for (uint64_t first = begin; first < end; first += kBatch) {
    v1::BatchWriteDocumentsRequest request;
    request.set_parent(HubName(hub));
    for (uint64_t n = first; n < std::min(end, first + kBatch); ++n) {
      *request.add_writes()->mutable_upsert() = DocumentOf(project, n);
    }
    v1::BatchWriteDocumentsResponse response;
    CMK_RETURN_IF_ERROR(Told("storing a batch", documents_->BatchWriteDocuments(
                                                    NewContext(token_).get(), request, &response)));
  }
  return absl::OkStatus();
}

absl::Status ServiceClient::FindHub(const std::string& hub) {
  v1::GetHubRequest request;
  request.set_name(HubName(hub));
  v1::Hub found;
  return Told("looking at a hub", hubs_->GetHub(NewContext(token_).get(), request, &found));
}

absl::Status ServiceClient::ReadOne(const std::string& hub, uint64_t number,
                                    const std::string& content) {
  v1::GetDocumentRequest request;
  request.set_name(NameOf(ProjectName(hub), number));
  v1::Document found;
  CMK_RETURN_IF_ERROR(Told("reading a document",
                           documents_->GetDocument(NewContext(token_).get(), request, &found)));
  if (found.content() == content) return absl::OkStatus();
  return absl::InternalError("a document has another content");
}

absl::Status ServiceClient::SearchOne(const std::string& hub, uint64_t number) {
  v1::SearchRequest request;
  request.set_parent(HubName(hub));
  request.set_query(absl::StrCat("only", number));
  v1::SearchResponse found;
  CMK_RETURN_IF_ERROR(
      Told("searching", searches_->Search(NewContext(token_).get(), request, &found)));
  if (found.hits_size() == 1 && NumberOf(found.hits(0).document().name()) == number) {
    return absl::OkStatus();
  }
  return absl::InternalError("a search does not find the one document that it must");
}

absl::Status ServiceClient::WaitUntilIndexed(const std::string& hub) {
  v1::GetSearchIndexRequest request;
  request.set_name(absl::StrCat(HubName(hub), "/searchIndex"));
  const absl::Time give_up = absl::Now() + absl::Minutes(5);
  for (;;) {
    v1::SearchIndex index;
    CMK_RETURN_IF_ERROR(Told("looking at an index",
                             searches_->GetSearchIndex(NewContext(token_).get(), request, &index)));
    if (index.indexed_sequence() >= index.last_sequence()) return absl::OkStatus();
    if (absl::Now() > give_up) return absl::InternalError("an index does not catch up");
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace cmkstore::bench
