// ProjectService.UpdateProject and DeleteProject.

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/envelope.h"
#include "service/apply_blocking.h"
#include "service/limits.h"
#include "service/manage_projects.h"
#include "store/change_feed.h"
#include "store/documents_table.h"
#include "store/tables.h"
#include "store/usage_table.h"

namespace cmkstore::service {
namespace {

constexpr char kDeleteDocuments[] = "delete-project-documents";  // on disk
constexpr size_t kRowsPerCommit = 500;

}  // namespace

ManageProjects::ManageProjects(HubAccess& hubs, store::Engine& engine, StorageQuota& quota,
                               Operations& operations, crypto::Random& random, Clock& clock,
                               const PageTokens& tokens,
                               std::function<void(HubUid, store::Sequence)> committed)
    : hubs_(hubs),
      engine_(engine),
      quota_(quota),
      operations_(operations),
      random_(random),
      clock_(clock),
      tokens_(tokens),
      committed_(std::move(committed)) {
  operations_.AddKind(
      kDeleteDocuments, [this](OperationRun& run) { return DeleteDocuments(run); },
      Operations::Ends::kWhenDone);
}

absl::StatusOr<v1::Project> ManageProjects::Update(const AdmittedCall& call,
                                                   const v1::UpdateProjectRequest& request) {
  CMK_ASSIGN_OR_RETURN(const ProjectName name,
                       ProjectName::Parse("project.name", request.project().name()));
  if (request.update_mask().paths_size() != 1 || request.update_mask().paths(0) != "display_name") {
    return FieldInvalid("update_mask", "must name display_name, and nothing else");
  }
  CMK_RETURN_IF_ERROR(CheckDisplayName("project.display_name", request.project().display_name()));
  CMK_ASSIGN_OR_RETURN(const OpenHub hub, hubs_.OpenBlocking(call, name.hub));
  CMK_ASSIGN_OR_RETURN(storage::v1::ProjectRecord record,
                       hubs_.directory().GetProject(*hub.entry, name.project));
  const std::string& etag = request.project().etag();
  if (!etag.empty() && etag != ProjectEtag(record)) return EtagMismatch();
  const storage::v1::ProjectRecord before = record;
  CMK_ASSIGN_OR_RETURN(const ProjectUid uid, ProjectUid::FromBytes(record.uid()));
  storage::v1::ProjectBody body;
  body.set_display_name(request.project().display_name());
  record.set_revision(record.revision() + 1);
  record.set_update_time_micros(absl::ToUnixMicros(clock_.WallNow()));
  CMK_ASSIGN_OR_RETURN(crypto::SealedDocument sealed,
                       crypto::Seal(hub.keys->seal, ProjectBinding(*hub.entry, uid),
                                    record.revision(), body.SerializeAsString(), random_));
  record.set_sealed_body(std::move(sealed).Release());
  if (!request.validate_only()) {
    store::WriteSet writes;
    store::ProjectsTable::RequireUnchanged(writes, name.project.value(), before, EtagMismatch());
    store::ProjectsTable::Put(writes, name.project.value(), record);
    CMK_RETURN_IF_ERROR(ApplyBlocking(engine_, hub.partition(), std::move(writes)).status());
  }
  return ToProject(*hub.entry, record);
}

absl::StatusOr<google::protobuf::Empty> ManageProjects::Delete(
    const AdmittedCall& call, const v1::DeleteProjectRequest& request) {
  CMK_ASSIGN_OR_RETURN(const ProjectName name, ProjectName::Parse("name", request.name()));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, hubs_.Find(call, name.hub));
  CMK_ASSIGN_OR_RETURN(const storage::v1::ProjectRecord record,
                       hubs_.directory().GetProject(*hub, name.project));
  if (!request.etag().empty() && request.etag() != ProjectEtag(record)) return EtagMismatch();
  CMK_ASSIGN_OR_RETURN(const ProjectUid uid, ProjectUid::FromBytes(record.uid()));
  CMK_ASSIGN_OR_RETURN(const auto documents,
                       store::DocumentsTable(engine_).WalkKeys(hub->partition, {uid, {}}, "", 1));
  const absl::Status not_empty =
      StateInvalid("the project has documents; set force to delete them too");
  if (!documents.empty() && !request.force()) return not_empty;
  // Without its name no document of the project can be reached; the rows go after, by an operation
  // that the same commit starts.
  store::WriteSet writes;
  store::ProjectsTable::RequireUnchanged(writes, name.project.value(), record, EtagMismatch());
  store::ProjectsTable::Delete(writes, name.project.value());
  // Nor may one that is written meanwhile go with it.
  if (!request.force()) store::DocumentsTable::RequireNone(writes, {uid, {}}, not_empty);
  storage::v1::FeedRecord feed;
  feed.set_commit_time_micros(absl::ToUnixMicros(clock_.WallNow()));
  storage::v1::FeedChange& change = *feed.add_changes();
  change.set_kind(storage::v1::FeedChange::KIND_PROJECT_DELETED);
  change.set_project_uid(record.uid());
  change.set_project(record.project());
  store::ChangeFeed::Append(writes, feed);
  CMK_ASSIGN_OR_RETURN(
      const Operations::Started started,
      operations_.StartWith(*hub, kDeleteDocuments, record.uid(), std::move(writes)));
  hubs_.directory().ForgetProject(hub->uid, name.project, uid);
  committed_(hub->uid, started.sequence);
  return google::protobuf::Empty();
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ManageProjects::DeleteDocuments(
    OperationRun& run) {
  CMK_ASSIGN_OR_RETURN(const ProjectUid uid, ProjectUid::FromBytes(run.argument()));
  const store::Partition& partition = run.hub()->partition;
  // From behind what is deleted, for its tombstones would be walked again with each commit. Nothing
  // is written there any more.
  std::string cursor;
  for (uint64_t deleted = 0;;) {
    CMK_RETURN_IF_ERROR(run.CheckGoOn());
    CMK_ASSIGN_OR_RETURN(const auto rows,
                         store::DocumentsTable(engine_).WalkSizes(
                             partition, {uid, {}}, cursor, {kRowsPerCommit, kMaxBatchBytes}));
    if (rows.empty()) return std::make_unique<google::protobuf::Empty>();
    cursor = store::DocumentsTable::CursorAt(rows.back().first);
    store::WriteSet writes;
    store::UsageNumbers usage;
    for (const auto& [key, bytes] : rows) {
      store::DocumentsTable::Delete(writes, key);
      --usage[store::UsageCounter::kDocuments];
      usage[store::UsageCounter::kStoredBytes] -= static_cast<int64_t>(bytes);
    }
    store::UsageTable::Add(writes, HourOf(clock_.WallNow()), usage);
    // A purge of the hub takes all rows itself, and what it has counted must not get others again.
    store::HubSecretsTable::RequirePresent(writes, NotFound("hub"));
    const absl::Status applied = ApplyBlocking(engine_, partition, std::move(writes)).status();
    if (HasReason(applied, "HUB_NOT_FOUND")) return std::make_unique<google::protobuf::Empty>();
    CMK_RETURN_IF_ERROR(applied);
    quota_.Add(run.hub()->record.tenant(), StoredAmount::Of(usage));
    deleted += rows.size();
    run.Progress(deleted, 0);
  }
}

}  // namespace cmkstore::service
