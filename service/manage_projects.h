#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cmkstore/v1/project_service.pb.h"
#include "crypto/random.h"
#include "service/hub_access.h"
#include "service/operations.h"
#include "service/page_token.h"
#include "service/storage_quota.h"
#include "store/engine.h"

namespace cmkstore::service {

// ProjectService: the life of projects. Blocking: for control threads. Thread-safe.
class ManageProjects {
 public:
  // `committed` hears of every change that the feed carries.
  ManageProjects(HubAccess& hubs, store::Engine& engine, StorageQuota& quota,
                 Operations& operations, crypto::Random& random, Clock& clock,
                 const PageTokens& tokens, std::function<void(HubUid, store::Sequence)> committed);

  absl::StatusOr<v1::Project> Create(const AdmittedCall& call,
                                     const v1::CreateProjectRequest& request);
  absl::StatusOr<v1::Project> Get(const AdmittedCall& call, const v1::GetProjectRequest& request);
  absl::StatusOr<v1::ListProjectsResponse> List(const AdmittedCall& call,
                                                const v1::ListProjectsRequest& request);
  absl::StatusOr<v1::Project> Update(const AdmittedCall& call,
                                     const v1::UpdateProjectRequest& request);
  absl::StatusOr<google::protobuf::Empty> Delete(const AdmittedCall& call,
                                                 const v1::DeleteProjectRequest& request);

 private:
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> DeleteDocuments(OperationRun& run);
  v1::Project ToProject(const HubEntry& hub, const storage::v1::ProjectRecord& record);
  // Asks no vault after `deadline` for an older key that the name is sealed with.
  v1::Project ToProjectBy(const HubEntry& hub, const storage::v1::ProjectRecord& record,
                          absl::Time deadline);

  HubAccess& hubs_;
  store::Engine& engine_;
  StorageQuota& quota_;
  Operations& operations_;
  crypto::Random& random_;
  Clock& clock_;
  const PageTokens& tokens_;
  const std::function<void(HubUid, store::Sequence)> committed_;
};

// Where a project's sealed body opens.
crypto::Binding ProjectBinding(const HubEntry& hub, ProjectUid uid);
std::string ProjectEtag(const storage::v1::ProjectRecord& record);

}  // namespace cmkstore::service
