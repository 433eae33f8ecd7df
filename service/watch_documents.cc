#include "service/watch_documents.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "service/awaiters.h"
#include "service/document_codec.h"
#include "service/timestamps.h"
#include "store/change_feed.h"
#include "store/documents_table.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kHeartbeat = absl::Seconds(10);
constexpr absl::Duration kRoundTime = absl::Seconds(30);
constexpr absl::Duration kRoomPause = absl::Seconds(1);
constexpr size_t kMaxFeedEntries = 100;
constexpr size_t kEnoughFeedBytes = 256u << 10;
constexpr size_t kEnoughBytes = 1u << 20;
// Of changes looked at, told of or not: others have a turn of the queue before the next part.
constexpr int kEnoughChanges = 1000;

// Whoever waited beyond the last change would miss all up to that number; whoever has come as far
// as a restore did not has seen what is not there, and has not seen what is there instead.
absl::Status NotOfThisFeed(store::Sequence place, store::Sequence last) {
  return FieldInvalid(
      "after_sequence",
      absl::StrCat(place > last ? absl::StrCat("is beyond the last change, ", last,
                                               ": the hub may have been restored")
                                : "is of what was written after the backup that the hub was "
                                  "restored from",
                   "; list its documents, and watch from now"));
}

}  // namespace

std::optional<v1::DocumentChange> WatchDocuments::ToDeletion(
    const Scope& scope, const storage::v1::FeedChange& change) {
  // One of the watched project's id that was there before it: whoever resumes may have seen it.
  if (scope.project.has_value() && change.project() != scope.project->value()) return std::nullopt;
  v1::DocumentChange result;
  result.set_kind(v1::DocumentChange::PROJECT_DELETED);
  result.set_project(absl::StrCat(scope.hub.ToString(), "/projects/",
                                  change.project().empty() ? "-" : change.project()));
  return result;
}

Task<absl::StatusOr<std::optional<v1::DocumentChange>>> WatchDocuments::ToChange(
    const CallContext& context, const OpenHub& hub, const Scope& scope,
    const storage::v1::FeedChange& change, v1::DocumentView view) {
  if (change.kind() == storage::v1::FeedChange::KIND_PROJECT_DELETED) {
    co_return ToDeletion(scope, change);
  }
  const bool put = change.kind() == storage::v1::FeedChange::KIND_DOCUMENT_PUT;
  const bool deleted = change.kind() == storage::v1::FeedChange::KIND_DOCUMENT_DELETED;
  if (!put && !deleted) co_return std::nullopt;
  store::DocumentKey key;
  CMK_CO_ASSIGN_OR_RETURN(key.project, ProjectUid::FromBytes(change.project_uid()));
  CMK_CO_ASSIGN_OR_RETURN(key.collection, BlindName::FromBytes(change.blind_collection()));
  CMK_CO_ASSIGN_OR_RETURN(key.document, BlindName::FromBytes(change.blind_document()));
  if (scope.project.has_value() && scope.uid != key.project) co_return std::nullopt;
  CMK_CO_ASSIGN_OR_RETURN(const std::optional<std::string> project,
                          hubs_.directory().ProjectNameOf(*hub.entry, key.project));
  if (!project.has_value()) co_return std::nullopt;
  const std::string project_name = absl::StrCat(scope.hub.ToString(), "/projects/", *project);
  auto reading = put ? ReadPut(context, hub, project_name, key, view)
                     : ReadTombstone(context, hub, project_name, key, change);
  absl::StatusOr<std::optional<v1::DocumentChange>> shown = co_await std::move(reading);
  if (shown.ok() || !unreadable_.GoesOnWithout(*hub.entry, shown.status())) co_return shown;
  v1::DocumentChange unreadable;
  unreadable.set_kind(v1::DocumentChange::UNREADABLE);
  unreadable.mutable_document()->set_name(project_name);
  unreadable.set_reason(ReasonOf(shown.status()));
  co_return unreadable;
}

Task<absl::StatusOr<std::optional<v1::DocumentChange>>> WatchDocuments::ReadPut(
    const CallContext& context, const OpenHub& hub, const std::string& project_name,
    const store::DocumentKey& key, v1::DocumentView view) {
  CMK_CO_ASSIGN_OR_RETURN(const std::optional<crypto::SealedDocument> row,
                          store::DocumentsTable(engine_).Get(hub.partition(), key));
  if (!row.has_value()) co_return std::nullopt;  // deleted since; that change follows
  auto opening = reads_.OpenFound(context, hub, project_name, key, *row,
                                  view == v1::FULL ? v1::FULL : v1::BASIC);
  absl::StatusOr<v1::Document> document = co_await std::move(opening);
  if (!document.ok()) co_return document.status();
  v1::DocumentChange result;
  *result.mutable_document() = *std::move(document);
  result.set_kind(v1::DocumentChange::PUT);
  co_return result;
}

Task<absl::StatusOr<std::optional<v1::DocumentChange>>> WatchDocuments::ReadTombstone(
    const CallContext& context, const OpenHub& hub, const std::string& project_name,
    const store::DocumentKey& key, const storage::v1::FeedChange& change) {
  CMK_CO_ASSIGN_OR_RETURN(const crypto::SealedDocument sealed,
                          crypto::SealedDocument::Parse(change.sealed_tombstone()));
  const crypto::Binding binding = BindingOf(*hub.entry, crypto::RowKind::kTombstone, key);
  auto opening = hubs_.OpenRow(context, hub, binding, sealed);
  absl::StatusOr<std::string> plaintext = co_await std::move(opening);
  if (!plaintext.ok()) co_return plaintext.status();
  storage::v1::TombstoneBody body;
  if (!body.ParseFromString(*plaintext)) co_return DocumentCorrupt();
  v1::DocumentChange result;
  result.mutable_document()->set_name(absl::StrCat(project_name, "/collections/", body.collection(),
                                                   "/documents/", body.document()));
  result.set_kind(v1::DocumentChange::DELETED);
  co_return result;
}

Task<absl::StatusOr<v1::WatchDocumentsResponse>> WatchDocuments::NextPart(
    const CallContext& context, const OpenHub& hub, const Scope& scope, Place& place,
    v1::DocumentView view) {
  // Not every commit of a hub is in its feed (a rotation is not): what was committed before this
  // look and is not in it has been passed as well, or the caller would look again at once, for
  // ever.
  CMK_CO_ASSIGN_OR_RETURN(const store::Sequence committed, engine_.LastSequence(hub.partition()));
  CMK_CO_ASSIGN_OR_RETURN(
      const std::vector<store::FeedEntry> entries,
      store::ChangeFeed(engine_).ReadAfter(hub.partition(), place.sequence,
                                           {kMaxFeedEntries, kEnoughFeedBytes}));
  v1::WatchDocumentsResponse part;
  size_t bytes = 0;
  int looked_at = 0;
  for (const auto& [at, record] : entries) {
    looked_at += record.changes_size();
    for (int i = place.told; i < record.changes_size(); ++i) {
      if (bytes > kEnoughBytes) {  // the rest of this commit comes in the next part
        place.told = i;
        part.set_sequence(place.sequence);
        co_return part;
      }
      auto converting = ToChange(context, hub, scope, record.changes(i), view);
      CMK_CO_ASSIGN_OR_RETURN(std::optional<v1::DocumentChange> shown,
                              co_await std::move(converting));
      if (!shown.has_value()) continue;
      if (shown->kind() == v1::DocumentChange::PROJECT_DELETED && scope.project.has_value() &&
          record.changes(i).project_uid() == scope.uid.bytes()) {
        place.gone = true;
      }
      shown->set_sequence(at);
      *shown->mutable_commit_time() = ToTimestamp(record.commit_time_micros());
      bytes += shown->ByteSizeLong();
      *part.add_changes() = *std::move(shown);
    }
    place = {at, 0, place.gone};
    if (bytes > kEnoughBytes || looked_at >= kEnoughChanges) break;
  }
  if (entries.empty()) place.sequence = std::max(place.sequence, committed);
  part.set_sequence(place.sequence);
  co_return part;
}

Task<absl::Status> WatchDocuments::Watch(const CallContext& stream_context,
                                         const v1::WatchDocumentsRequest& request,
                                         ResponseStream<v1::WatchDocumentsResponse>& stream) {
  absl::StatusOr<ProjectName> project = ProjectName::Parse("parent", request.parent());
  absl::StatusOr<HubName> hub_name = HubName::Parse("parent", request.parent());
  if (project.ok()) hub_name = project->hub;
  if (!hub_name.ok()) co_return hub_name.status();
  Scope scope{*std::move(hub_name), std::nullopt, {}};
  if (project.ok()) scope.project = project->project;
  CMK_CO_RETURN_IF_ERROR(CheckView(request.view()));
  if (request.from_now() && request.after_sequence() != 0) {
    co_return FieldInvalid("after_sequence", "is another place to start from than from_now");
  }
  const AdmittedCall& admitted = stream_context.admitted;
  Place place{request.after_sequence()};
  bool first = true, told = false;
  while (!stream.cancelled()) {
    // A stream outlives the time of one call, its token, and the network rules of its begin.
    CMK_CO_RETURN_IF_ERROR(stream.AdmitAgain());
    const AdmittedCall round = admitted.WithDeadline(clock_.WallNow() + kRoundTime);
    const CallContext context{round, stream_context.executor};
    HubEntryPtr entry;
    v1::WatchDocumentsResponse part;
    Place before;
    {  // The hub's keys for no longer than it takes to read, however slow the caller is.
      auto opening = hubs_.Open(context, scope.hub);
      CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
      entry = hub.entry;
      if (first) {
        CMK_CO_ASSIGN_OR_RETURN(const store::Sequence last, engine_.LastSequence(entry->partition));
        if (request.from_now()) place.sequence = last;
        CMK_CO_ASSIGN_OR_RETURN(const bool known, store::ChangeFeed(engine_).Has(
                                                      entry->partition, place.sequence, last));
        if (!known) co_return NotOfThisFeed(place.sequence, last);
        if (scope.project.has_value()) {
          // Behind the place: if the store has it now, its deletion is yet to come in the feed.
          CMK_CO_ASSIGN_OR_RETURN(const storage::v1::ProjectRecord record,
                                  hubs_.directory().GetProject(*entry, *scope.project));
          CMK_CO_ASSIGN_OR_RETURN(scope.uid, ProjectUid::FromBytes(record.uid()));
        }
        entry->usage->Count(store::UsageCounter::kWatchCalls);
        first = false;
      }
      before = place;
      auto reading = NextPart(context, hub, scope, place, request.view());
      CMK_CO_ASSIGN_OR_RETURN(part, co_await std::move(reading));
    }
    const bool moved = place != before;
    if (moved && part.changes().empty()) {
      co_await Requeued(
          context.executor);  // a long feed of others' changes is not to hold the queue
      continue;
    }
    if (!moved && told) {
      const absl::Time until = clock_.WallNow() + kHeartbeat;
      auto waiting = signal_.Wait(context.executor, entry->uid, until,
                                  [this, partition = entry->partition, from = place.sequence] {
                                    const auto last = engine_.LastSequence(partition);
                                    return !last.ok() || *last > from;
                                  });
      co_await waiting;
      if (clock_.WallNow() < until) continue;
    }
    // At once the first time: the caller knows then that it is heard.
    told = true;
    // Once more: it may have waited for a vault, or for what to tell, since.
    CMK_CO_RETURN_IF_ERROR(stream.AdmitAgain());
    if (!stream.HasRoom(part.ByteSizeLong())) {
      // Read again later, when callers of the tenant have taken what they have been sent.
      place = before;
      part = v1::WatchDocumentsResponse();
      const absl::Time until = clock_.WallNow() + kRoomPause;
      while (clock_.WallNow() < until && !stream.cancelled()) {
        auto waiting = signal_.Wait(context.executor, entry->uid, until, [] { return false; });
        co_await waiting;
      }
      continue;
    }
    const bool sent = co_await stream.Write(part);
    if (!sent) break;
    if (place.gone) co_return NotFound("project");
  }
  // A server that stops asks its watchers to come back to the next one.
  co_return stream.client_gone() ? Cancelled("the caller is gone") : ServerStopping();
}

}  // namespace cmkstore::service
