#include "service/manage_projects.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/envelope.h"
#include "service/apply_blocking.h"
#include "service/limits.h"
#include "service/request_mark.h"
#include "service/timestamps.h"
#include "store/tables.h"

namespace cmkstore::service {

crypto::Binding ProjectBinding(const HubEntry& hub, ProjectUid uid) {
  crypto::Binding binding;
  binding.kind = crypto::RowKind::kProject;
  binding.tenant = hub.record.tenant();
  binding.hub = hub.uid;
  binding.project = std::string(uid.bytes());
  return binding;
}

std::string ProjectEtag(const storage::v1::ProjectRecord& record) {
  return absl::WebSafeBase64Escape(absl::StrCat(record.uid(), record.revision()));
}

v1::Project ManageProjects::ToProject(const HubEntry& hub,
                                      const storage::v1::ProjectRecord& record) {
  return ToProjectBy(hub, record, clock_.WallNow() + kOlderKeyTimeout);
}

v1::Project ManageProjects::ToProjectBy(const HubEntry& hub,
                                        const storage::v1::ProjectRecord& record,
                                        absl::Time deadline) {
  v1::Project project;
  project.set_name(absl::StrCat("tenants/", hub.record.tenant(), "/hubs/", hub.record.hub(),
                                "/projects/", record.project()));
  const ProjectUid uid = ProjectUid::FromBytes(record.uid()).value_or(ProjectUid());
  project.set_uid(uid.ToHex());
  *project.mutable_create_time() = ToTimestamp(record.create_time_micros());
  *project.mutable_update_time() = ToTimestamp(record.update_time_micros());
  project.set_etag(ProjectEtag(record));
  const auto keys = hubs_.key_cache().Lookup(hub.uid);
  const auto sealed = crypto::SealedDocument::Parse(record.sealed_body());
  if (keys.ok() && *keys != nullptr && sealed.ok()) {
    const auto opened = hubs_.OpenRowBlocking(**keys, deadline, ProjectBinding(hub, uid), *sealed);
    storage::v1::ProjectBody body;
    if (opened.ok() && body.ParseFromString(*opened)) {
      project.set_display_name(body.display_name());
    }
  }
  return project;
}

absl::StatusOr<v1::Project> ManageProjects::Create(const AdmittedCall& call,
                                                   const v1::CreateProjectRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName parent, HubName::Parse("parent", request.parent()));
  CMK_RETURN_IF_ERROR(CheckId("project_id", request.project_id()));
  CMK_ASSIGN_OR_RETURN(const ProjectId id, ProjectId::Parse(request.project_id()));
  CMK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  CMK_RETURN_IF_ERROR(CheckDisplayName("project.display_name", request.project().display_name()));
  CMK_ASSIGN_OR_RETURN(const OpenHub hub, hubs_.OpenBlocking(call, parent));
  const ProjectUid uid = random_.NewUid<ProjectUid>();
  storage::v1::ProjectBody body;
  body.set_display_name(request.project().display_name());
  storage::v1::ProjectRecord record;
  record.set_uid(std::string(uid.bytes()));
  record.set_project(id.value());
  const int64_t now = absl::ToUnixMicros(clock_.WallNow());
  record.set_create_time_micros(now);
  record.set_update_time_micros(now);
  record.set_revision(1);
  record.set_create_mark(RequestMark(request));
  CMK_ASSIGN_OR_RETURN(crypto::SealedDocument sealed,
                       crypto::Seal(hub.keys->seal, ProjectBinding(*hub.entry, uid), 1,
                                    body.SerializeAsString(), random_));
  record.set_sealed_body(std::move(sealed).Release());
  const auto existing = [&]() -> absl::StatusOr<v1::Project> {
    CMK_ASSIGN_OR_RETURN(const storage::v1::ProjectRecord first,
                         hubs_.directory().GetProject(*hub.entry, id));
    if (!IsRepeat(first, record.create_mark(), clock_.WallNow())) return AlreadyExists("project");
    return ToProject(*hub.entry, first);
  };
  const absl::StatusOr<v1::Project> first = existing();
  if (!HasReason(first.status(), "PROJECT_NOT_FOUND")) return first;
  if (!request.validate_only()) {
    store::WriteSet writes;
    store::ProjectsTable::RequireAbsent(writes, id.value(), AlreadyExists("project"));
    store::ProjectsTable::Put(writes, id.value(), record);
    const absl::Status applied =
        ApplyBlocking(engine_, hub.partition(), std::move(writes)).status();
    if (HasReason(applied, "PROJECT_ALREADY_EXISTS")) return existing();
    CMK_RETURN_IF_ERROR(applied);
  }
  return ToProject(*hub.entry, record);
}

absl::StatusOr<v1::Project> ManageProjects::Get(const AdmittedCall& call,
                                                const v1::GetProjectRequest& request) {
  CMK_ASSIGN_OR_RETURN(const ProjectName name, ProjectName::Parse("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, hubs_.Find(call, name.hub));
  CMK_ASSIGN_OR_RETURN(const storage::v1::ProjectRecord record,
                       hubs_.directory().GetProject(*hub, name.project));
  hubs_.Warm(*hub, std::min(call.deadline(), clock_.WallNow() + kNameTimeout));
  return ToProject(*hub, record);
}

absl::StatusOr<v1::ListProjectsResponse> ManageProjects::List(
    const AdmittedCall& call, const v1::ListProjectsRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName parent, HubName::Parse("parent", request.parent()));
  CMK_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, hubs_.Find(call, parent));
  const std::string question = absl::StrCat("ListProjects ", request.parent());
  CMK_ASSIGN_OR_RETURN(const std::string cursor,
                       tokens_.Decode(call.caller(), question, request.page_token()));
  const store::ProjectsTable projects(engine_);
  CMK_ASSIGN_OR_RETURN(const auto records,
                       cursor.empty() ? projects.List(hub->partition, page_size + 1)
                                      : projects.ListAfter(hub->partition, cursor, page_size + 1));
  hubs_.Warm(*hub, std::min(call.deadline(), clock_.WallNow() + kNameTimeout));
  const absl::Time deadline = std::min(call.deadline(), clock_.WallNow() + kOlderKeyTimeout);
  v1::ListProjectsResponse response;
  for (size_t i = 0; i < records.size(); ++i) {
    if (i == page_size) {
      response.set_next_page_token(
          tokens_.Encode(call.caller(), question, records[i - 1].project()));
      break;
    }
    *response.add_projects() = ToProjectBy(*hub, records[i], deadline);
  }
  return response;
}

}  // namespace cmkstore::service
