#include "service/methods.h"

#include "base/status_macros.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/key_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "cmkstore/v1/search_service.grpc.pb.h"
#include "cmkstore/v1/usage_service.grpc.pb.h"

namespace cmkstore::service {
namespace {

using Scope = absl::StatusOr<ResourceScope>;

Scope TenantScope(absl::string_view field, const std::string& name) {
  CMK_ASSIGN_OR_RETURN(TenantName parsed, TenantName::Parse(field, name));
  return ResourceScope{std::move(parsed.tenant), std::nullopt, std::nullopt};
}

Scope HubScope(absl::string_view field, const std::string& name) {
  CMK_ASSIGN_OR_RETURN(HubName parsed, HubName::Parse(field, name));
  return ResourceScope{std::move(parsed.tenant), std::move(parsed.hub), std::nullopt};
}

Scope ProjectScope(absl::string_view field, const std::string& name) {
  CMK_ASSIGN_OR_RETURN(ProjectName parsed, ProjectName::Parse(field, name));
  return ResourceScope{std::move(parsed.hub.tenant), std::move(parsed.hub.hub),
                       std::move(parsed.project)};
}

// The project that the name of a document or a collection lies in: the first three pairs of it.
// What is wrong with them is told by `Name`, which has the whole name's form.
template <typename Name>
Scope InProject(absl::string_view field, const std::string& name) {
  size_t end = 0;
  for (int slashes = 0; end < name.size(); ++end) {
    if (name[end] == '/' && ++slashes == 6) break;
  }
  Scope project = ProjectScope(field, name.substr(0, end));
  if (project.ok()) return project;
  return Name::Parse(field, name).status();
}

Scope SingletonScope(absl::string_view field, const std::string& name,
                     absl::string_view singleton) {
  CMK_ASSIGN_OR_RETURN(HubName parsed, HubName::ParseSingleton(field, name, singleton));
  return ResourceScope{std::move(parsed.tenant), std::move(parsed.hub), std::nullopt};
}

Scope HubOrTenantScope(absl::string_view field, const std::string& name) {
  Scope hub = HubScope(field, name);
  return hub.ok() ? hub : TenantScope(field, name);
}

Scope ProjectOrHubScope(absl::string_view field, const std::string& name) {
  Scope project = ProjectScope(field, name);
  return project.ok() ? project : HubScope(field, name);
}

template <typename Request>
MethodRule<Request> Rule(Permission permission, std::function<Scope(const Request&)> scope) {
  return {permission, std::move(scope)};
}

void AddHubMethods(RpcServer& server, ManageHubs& hubs) {
  using Service = v1::HubService::AsyncService;
  Service& service = server.AddService<v1::HubService>();
  server.AddBlocking(
      service, &Service::RequestCreateHub,
      Rule<v1::CreateHubRequest>(Permission::kManageHubs,
                                 [](const auto& r) { return TenantScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return hubs.Create(call, r); }, BlocksFor::kVault);
  server.AddBlocking(
      service, &Service::RequestGetHub,
      Rule<v1::GetHubRequest>(Permission::kReadHubs,
                              [](const auto& r) { return HubScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return hubs.Get(call, r); });
  server.AddBlocking(
      service, &Service::RequestListHubs,
      Rule<v1::ListHubsRequest>(Permission::kReadHubs,
                                [](const auto& r) { return TenantScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return hubs.List(call, r); });
  server.AddBlocking(
      service, &Service::RequestUpdateHub,
      Rule<v1::UpdateHubRequest>(
          Permission::kManageHubs,
          [](const auto& r) { return HubScope("hub.name", r.hub().name()); }),
      [&](const auto& call, const auto& r) { return hubs.Update(call, r); }, BlocksFor::kVault);
  server.AddBlocking(
      service, &Service::RequestDeleteHub,
      Rule<v1::DeleteHubRequest>(Permission::kManageHubs,
                                 [](const auto& r) { return HubScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return hubs.Delete(call, r); });
  server.AddBlocking(
      service, &Service::RequestUndeleteHub,
      Rule<v1::UndeleteHubRequest>(Permission::kManageHubs,
                                   [](const auto& r) { return HubScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return hubs.Undelete(call, r); });
}

void AddProjectMethods(RpcServer& server, ManageProjects& projects) {
  using Service = v1::ProjectService::AsyncService;
  Service& service = server.AddService<v1::ProjectService>();
  server.AddBlocking(
      service, &Service::RequestCreateProject,
      Rule<v1::CreateProjectRequest>(Permission::kManageProjects,
                                     [](const auto& r) { return HubScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return projects.Create(call, r); }, BlocksFor::kVault);
  server.AddBlocking(
      service, &Service::RequestGetProject,
      Rule<v1::GetProjectRequest>(Permission::kReadHubs,
                                  [](const auto& r) { return ProjectScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return projects.Get(call, r); });
  server.AddBlocking(
      service, &Service::RequestListProjects,
      Rule<v1::ListProjectsRequest>(Permission::kReadHubs,
                                    [](const auto& r) { return HubScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return projects.List(call, r); });
  server.AddBlocking(
      service, &Service::RequestUpdateProject,
      Rule<v1::UpdateProjectRequest>(
          Permission::kManageProjects,
          [](const auto& r) { return ProjectScope("project.name", r.project().name()); }),
      [&](const auto& call, const auto& r) { return projects.Update(call, r); }, BlocksFor::kVault);
  server.AddBlocking(
      service, &Service::RequestDeleteProject,
      Rule<v1::DeleteProjectRequest>(Permission::kManageProjects,
                                     [](const auto& r) { return ProjectScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return projects.Delete(call, r); });
}

void AddKeyMethods(RpcServer& server, ManageKeys& keys, VaultUsageReport& usage,
                   EncryptionCoverageReport& coverage) {
  using Service = v1::KeyService::AsyncService;
  Service& service = server.AddService<v1::KeyService>();
  server.AddBlocking(service, &Service::RequestGetKeyStatus,
                     Rule<v1::GetKeyStatusRequest>(
                         Permission::kReadHubs,
                         [](const auto& r) { return SingletonScope("name", r.name(), "key"); }),
                     [&](const auto& call, const auto& r) { return keys.GetStatus(call, r); });
  server.AddBlocking(
      service, &Service::RequestCheckKey,
      Rule<v1::CheckKeyRequest>(
          Permission::kManageKeys,
          [](const auto& r) { return HubOrTenantScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return keys.Check(call, r); }, BlocksFor::kVault);
  // A lock never waits behind calls that wait for vaults, whosever they are.
  server.AddBlocking(
      service, &Service::RequestLockHub,
      Rule<v1::LockHubRequest>(Permission::kManageKeys,
                               [](const auto& r) { return HubScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return keys.Lock(call, r); }, BlocksFor::kLock);
  server.AddBlocking(
      service, &Service::RequestUnlockHub,
      Rule<v1::UnlockHubRequest>(Permission::kManageKeys,
                                 [](const auto& r) { return HubScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return keys.Unlock(call, r); }, BlocksFor::kLock);
  server.AddBlocking(
      service, &Service::RequestRotateDek,
      Rule<v1::RotateDekRequest>(Permission::kManageKeys,
                                 [](const auto& r) { return HubScope("name", r.name()); }),
      [&](const auto& call, const auto& r) { return keys.Rotate(call, r); });
  server.AddBlocking(
      service, &Service::RequestGetVaultUsage,
      Rule<v1::GetVaultUsageRequest>(
          Permission::kReadHubs, [](const auto& r) { return TenantScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return usage.Get(call, r); });
  server.AddBlocking(
      service, &Service::RequestGetEncryptionCoverage,
      Rule<v1::GetEncryptionCoverageRequest>(
          Permission::kReadHubs,
          [](const auto& r) { return SingletonScope("name", r.name(), "encryptionCoverage"); }),
      [&](const auto& call, const auto& r) { return coverage.Get(call, r); });
}

void AddDocumentMethods(RpcServer& server, ReadDocuments& reads, WriteDocuments& writes,
                        WatchDocuments& watches) {
  using Service = v1::DocumentService::AsyncService;
  Service& service = server.AddService<v1::DocumentService>();
  server.AddUnary(service, &Service::RequestGetDocument,
                  Rule<v1::GetDocumentRequest>(
                      Permission::kReadDocuments,
                      [](const auto& r) { return InProject<DocumentName>("name", r.name()); }),
                  [&](const auto& call, const auto& r) { return reads.Get(call, r); });
  server.AddUnary(
      service, &Service::RequestListDocuments,
      Rule<v1::ListDocumentsRequest>(
          Permission::kReadDocuments,
          [](const auto& r) { return InProject<CollectionName>("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return reads.List(call, r); });
  server.AddUnary(
      service, &Service::RequestBatchGetDocuments,
      Rule<v1::BatchGetDocumentsRequest>(
          Permission::kReadDocuments, [](const auto& r) { return HubScope("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return reads.BatchGet(call, r); });
  server.AddUnary(
      service, &Service::RequestCreateDocument,
      Rule<v1::CreateDocumentRequest>(
          Permission::kWriteDocuments,
          [](const auto& r) { return InProject<CollectionName>("parent", r.parent()); }),
      [&](const auto& call, const auto& r) { return writes.Create(call, r); });
  server.AddUnary(service, &Service::RequestUpdateDocument,
                  Rule<v1::UpdateDocumentRequest>(Permission::kWriteDocuments,
                                                  [](const auto& r) {
                                                    return InProject<DocumentName>(
                                                        "document.name", r.document().name());
                                                  }),
                  [&](const auto& call, const auto& r) { return writes.Update(call, r); });
  server.AddUnary(service, &Service::RequestDeleteDocument,
                  Rule<v1::DeleteDocumentRequest>(
                      Permission::kWriteDocuments,
                      [](const auto& r) { return InProject<DocumentName>("name", r.name()); }),
                  [&](const auto& call, const auto& r) { return writes.Delete(call, r); });
  server.AddUnary(service, &Service::RequestBatchWriteDocuments,
                  Rule<v1::BatchWriteDocumentsRequest>(
                      Permission::kWriteDocuments,
                      [](const auto& r) { return HubScope("parent", r.parent()); }),
                  [&](const auto& call, const auto& r) { return writes.Batch(call, r); });
  server.AddStream(service, &Service::RequestWatchDocuments,
                   Rule<v1::WatchDocumentsRequest>(
                       Permission::kReadDocuments,
                       [](const auto& r) { return ProjectOrHubScope("parent", r.parent()); }),
                   [&](const auto& call, const auto& r, auto& stream) {
                     return watches.Watch(call, r, stream);
                   });
}

void AddSearchMethods(RpcServer& server, SearchDocuments& searches) {
  using Service = v1::SearchService::AsyncService;
  Service& service = server.AddService<v1::SearchService>();
  server.AddUnary(service, &Service::RequestSearch,
                  Rule<v1::SearchRequest>(
                      Permission::kReadDocuments,
                      [](const auto& r) { return ProjectOrHubScope("parent", r.parent()); }),
                  [&](const auto& call, const auto& r) { return searches.Search(call, r); });
  server.AddBlocking(
      service, &Service::RequestGetSearchIndex,
      Rule<v1::GetSearchIndexRequest>(
          Permission::kReadHubs,
          [](const auto& r) { return SingletonScope("name", r.name(), "searchIndex"); }),
      [&](const auto& call, const auto& r) { return searches.GetIndex(call, r); });
  server.AddBlocking(
      service, &Service::RequestRebuildSearchIndex,
      Rule<v1::RebuildSearchIndexRequest>(
          Permission::kRunOperations,
          [](const auto& r) { return SingletonScope("name", r.name(), "searchIndex"); }),
      [&](const auto& call, const auto& r) { return searches.Rebuild(call, r); });
}

void AddUsageMethods(RpcServer& server, UsageReport& usage) {
  using Service = v1::UsageService::AsyncService;
  Service& service = server.AddService<v1::UsageService>();
  server.AddBlocking(service, &Service::RequestQueryUsage,
                     Rule<v1::QueryUsageRequest>(
                         Permission::kReadHubs,
                         [](const auto& r) { return HubOrTenantScope("parent", r.parent()); }),
                     [&](const auto& call, const auto& r) { return usage.Query(call, r); });
}

}  // namespace

void AddMethods(RpcServer& server, ManageHubs& hubs, ManageProjects& projects, ManageKeys& keys,
                ReadDocuments& reads, WriteDocuments& writes, WatchDocuments& watches,
                SearchDocuments& searches, VaultUsageReport& usage,
                EncryptionCoverageReport& coverage, UsageReport& hub_usage) {
  AddHubMethods(server, hubs);
  AddProjectMethods(server, projects);
  AddKeyMethods(server, keys, usage, coverage);
  AddDocumentMethods(server, reads, writes, watches);
  AddSearchMethods(server, searches);
  AddUsageMethods(server, hub_usage);
}

}  // namespace cmkstore::service
