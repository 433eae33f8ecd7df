#include "cli/document_lists.h"

#include <vector>

#include "absl/strings/match.h"
#include "cli/paging.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"

namespace cmkstore::cli {

grpc::Status ForEachDocument(const Connection& connection, const std::string& parent,
                             v1::DocumentView view,
                             const std::function<void(const v1::Document&)>& each) {
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
                    [&each](const v1::ListDocumentsResponse& page) {
                      for (const v1::Document& document : page.documents()) each(document);
                    });
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

}  // namespace cmkstore::cli
