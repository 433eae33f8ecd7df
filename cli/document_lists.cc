#include "cli/document_lists.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/paging.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

// The reason of what is no single document.
constexpr char kDamagedPlace[] = "STORE_CORRUPT";

}  // namespace

grpc::Status ForEachDocument(const Connection& connection, const std::string& parent,
                             v1::DocumentView view,
                             const std::function<void(const v1::Document&)>& each,
                             Unreadable& unreadable) {
  std::vector<std::string> parents;
  if (absl::StrContains(parent, "/collections/")) {
    parents.push_back(parent);
  } else if (absl::StrContains(parent, "/projects/")) {
    parents.push_back(parent + "/collections/-");
  } else {
    v1::ListProjectsRequest request;
    request.set_parent(parent);
    request.set_page_size(500);
    const auto projects = v1::ProjectService::NewStub(connection.channel());
    const grpc::Status status =
        ForEachPage(connection, *projects, &v1::ProjectService::Stub::ListProjects, request,
                    [&parents](const v1::ListProjectsResponse& page) {
                      for (const v1::Project& project : page.projects()) {
                        parents.push_back(project.name() + "/collections/-");
                      }
                    });
    if (!status.ok()) return status;
  }
  const auto documents = v1::DocumentService::NewStub(connection.channel());
  for (const std::string& one : parents) {
    v1::ListDocumentsRequest request;
    request.set_parent(one);
    request.set_page_size(500);
    request.set_view(view);
    const grpc::Status status =
        ForEachPage(connection, *documents, &v1::DocumentService::Stub::ListDocuments, request,
                    [&](const v1::ListDocumentsResponse& page) {
                      for (const v1::Document& document : page.documents()) each(document);
                      for (const auto& one : page.unreadable()) ++unreadable[one.reason()];
                    });
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

grpc::Status LeftOut(const Unreadable& unreadable) {
  if (unreadable.empty()) return grpc::Status::OK;
  uint64_t count = 0;
  std::vector<std::string> reasons, sentences;
  for (const auto& [reason, documents] : unreadable) {
    if (reason == kDamagedPlace) continue;
    count += documents;
    reasons.push_back(absl::StrCat(reason, " ", documents));
  }
  if (count > 0) {
    sentences.push_back(absl::StrCat(count, count == 1 ? " document is" : " documents are",
                                     " left out: stored, and not to be opened (",
                                     absl::StrJoin(reasons, ", "), ")"));
  }
  if (const auto places = unreadable.find(kDamagedPlace); places != unreadable.end()) {
    sentences.push_back(absl::StrCat(
        "what stands in ", places->second, " damaged ", places->second == 1 ? "part" : "parts",
        " of the store is left out, nobody knows how many documents (", kDamagedPlace, ")"));
  }
  return grpc::Status(grpc::StatusCode::DATA_LOSS, absl::StrJoin(sentences, "; "));
}

}  // namespace cmkstore::cli
