#pragma once

#include "base/clock.h"
#include "cmkstore/v1/project_service.pb.h"
#include "crypto/random.h"
#include "service/hub_access.h"
#include "service/page_token.h"
#include "store/engine.h"

namespace cmkstore::service {

// ProjectService: create, get and list. Blocking: for control threads. Thread-safe.
class ManageProjects {
 public:
  ManageProjects(HubAccess& hubs, store::Engine& engine, crypto::Random& random, Clock& clock,
                 const PageTokens& tokens)
      : hubs_(hubs), engine_(engine), random_(random), clock_(clock), tokens_(tokens) {}

  absl::StatusOr<v1::Project> Create(const AdmittedCall& call,
                                     const v1::CreateProjectRequest& request);
  absl::StatusOr<v1::Project> Get(const AdmittedCall& call, const v1::GetProjectRequest& request);
  absl::StatusOr<v1::ListProjectsResponse> List(const AdmittedCall& call,
                                                const v1::ListProjectsRequest& request);

 private:
  v1::Project ToProject(const HubEntry& hub, const storage::v1::ProjectRecord& record);

  HubAccess& hubs_;
  store::Engine& engine_;
  crypto::Random& random_;
  Clock& clock_;
  const PageTokens& tokens_;
};

}  // namespace cmkstore::service
