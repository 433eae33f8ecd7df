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
constexpr absl::Duration kTokenLeeway = absl::Seconds(60);
constexpr size_t kMaxFeedEntries = 100;

}  // namespace

Task<absl::StatusOr<std::optional<v1::DocumentChange>>> WatchDocuments::ToChange(
    const CallContext& context, const OpenHub& hub, const HubName& name,
    const std::optional<ProjectUid>& only, const storage::v1::FeedChange& change,
    v1::DocumentView view) {
  const bool put = change.kind() == storage::v1::FeedChange::KIND_DOCUMENT_PUT;
  const bool deleted = change.kind() == storage::v1::FeedChange::KIND_DOCUMENT_DELETED;
  if (!put && !deleted) co_return std::nullopt;
  store::DocumentKey key;
  CMK_CO_ASSIGN_OR_RETURN(key.project, ProjectUid::FromBytes(change.project_uid()));
  CMK_CO_ASSIGN_OR_RETURN(key.collection, BlindName::FromBytes(change.blind_collection()));
  CMK_CO_ASSIGN_OR_RETURN(key.document, BlindName::FromBytes(change.blind_document()));
  if (only.has_value() && *only != key.project) co_return std::nullopt;
  CMK_CO_ASSIGN_OR_RETURN(const std::optional<std::string> project,
                          hubs_.directory().ProjectNameOf(*hub.entry, key.project));
  if (!project.has_value()) co_return std::nullopt;
  const std::string project_name = absl::StrCat(name.ToString(), "/projects/", *project);
  v1::DocumentChange result;
  if (put) {
    CMK_CO_ASSIGN_OR_RETURN(const std::optional<crypto::SealedDocument> row,
                            store::DocumentsTable(engine_).Get(hub.partition(), key));
    if (!row.has_value()) co_return std::nullopt;  // deleted since; that change follows
    auto opening = reads_.OpenFound(context, hub, project_name, key, *row,
                                    view == v1::FULL ? v1::FULL : v1::BASIC);
    absl::StatusOr<v1::Document> document = co_await std::move(opening);
    if (!document.ok()) co_return document.status();
    *result.mutable_document() = *std::move(document);
    result.set_kind(v1::DocumentChange::PUT);
    co_return result;
  }
  CMK_CO_ASSIGN_OR_RETURN(const crypto::SealedDocument sealed,
                          crypto::SealedDocument::Parse(change.sealed_tombstone()));
  const crypto::Binding binding = BindingOf(*hub.entry, crypto::RowKind::kTombstone, key);
  auto opening = hubs_.OpenRow(context, hub, binding, sealed);
  absl::StatusOr<std::string> plaintext = co_await std::move(opening);
  if (!plaintext.ok()) co_return plaintext.status();
  storage::v1::TombstoneBody body;
  if (!body.ParseFromString(*plaintext)) co_return DocumentCorrupt();
  result.mutable_document()->set_name(absl::StrCat(project_name, "/collections/", body.collection(),
                                                   "/documents/", body.document()));
  result.set_kind(v1::DocumentChange::DELETED);
  co_return result;
}

Task<absl::StatusOr<v1::WatchDocumentsResponse>> WatchDocuments::NextPart(
    const CallContext& context, const OpenHub& hub, const HubName& name,
    const std::optional<ProjectUid>& only, store::Sequence sequence, v1::DocumentView view) {
  // Not every commit of a hub is in its feed (a rotation is not): what was committed before this
  // look and is not in it has been passed as well, or the caller would look again at once, for
  // ever.
  CMK_CO_ASSIGN_OR_RETURN(const store::Sequence committed, engine_.LastSequence(hub.partition()));
  CMK_CO_ASSIGN_OR_RETURN(
      const std::vector<store::FeedEntry> entries,
      store::ChangeFeed(engine_).ReadAfter(hub.partition(), sequence, kMaxFeedEntries));
  bool whole = entries.size() < kMaxFeedEntries;
  v1::WatchDocumentsResponse part;
  for (const auto& [at, record] : entries) {
    for (const storage::v1::FeedChange& change : record.changes()) {
      auto converting = ToChange(context, hub, name, only, change, view);
      CMK_CO_ASSIGN_OR_RETURN(std::optional<v1::DocumentChange> shown,
                              co_await std::move(converting));
      if (!shown.has_value()) continue;
      shown->set_sequence(at);
      *shown->mutable_commit_time() = ToTimestamp(record.commit_time_micros());
      *part.add_changes() = *std::move(shown);
    }
    sequence = at;
    if (part.ByteSizeLong() > (1u << 20)) {
      whole = false;
      break;
    }
  }
  part.set_sequence(whole ? std::max(sequence, committed) : sequence);
  co_return part;
}

Task<absl::Status> WatchDocuments::Watch(const CallContext& stream_context,
                                         const v1::WatchDocumentsRequest& request,
                                         ResponseStream<v1::WatchDocumentsResponse>& stream) {
  absl::StatusOr<ProjectName> project = ProjectName::Parse("parent", request.parent());
  absl::StatusOr<HubName> hub_name = HubName::Parse("parent", request.parent());
  if (project.ok()) hub_name = project->hub;
  if (!hub_name.ok()) co_return hub_name.status();
  CMK_CO_RETURN_IF_ERROR(CheckView(request.view()));
  const AdmittedCall& admitted = stream_context.admitted;
  store::Sequence sequence = request.after_sequence();
  std::optional<ProjectUid> only;
  bool first = true, told = false;
  while (!stream.cancelled()) {
    // A stream outlives the time of one call and the token that opened it.
    const absl::Time now = clock_.WallNow();
    if (now > admitted.caller().expires + kTokenLeeway) co_return TokenExpired();
    const AdmittedCall round = admitted.WithDeadline(now + kRoundTime);
    const CallContext context{round, stream_context.executor};
    auto opening = hubs_.Open(context, *hub_name);
    CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
    if (first && project.ok()) {
      CMK_CO_ASSIGN_OR_RETURN(only, hubs_.Project(*hub.entry, project->project));
    }
    if (first && request.from_now()) {
      CMK_CO_ASSIGN_OR_RETURN(sequence, engine_.LastSequence(hub.partition()));
    }
    if (first) hub.entry->usage->Count(store::UsageCounter::kWatchCalls);
    first = false;
    auto reading = NextPart(context, hub, *hub_name, only, sequence, request.view());
    CMK_CO_ASSIGN_OR_RETURN(v1::WatchDocumentsResponse part, co_await std::move(reading));
    const bool moved = part.sequence() != sequence;
    sequence = part.sequence();
    if (moved && part.changes().empty()) {
      co_await Requeued(
          context.executor);  // a long feed of others' changes is not to hold the queue
      continue;
    }
    if (!moved && told) {
      const absl::Time until = clock_.WallNow() + kHeartbeat;
      const store::Partition partition = hub.partition();
      auto waiting = signal_.Wait(context.executor, hub.uid(), until, [this, partition, sequence] {
        const auto last = engine_.LastSequence(partition);
        return !last.ok() || *last > sequence;
      });
      co_await waiting;
      if (clock_.WallNow() < until) continue;
    }
    // At once the first time: the caller knows then that it is heard.
    told = true;
    const bool sent = co_await stream.Write(part);
    if (!sent) break;
  }
  // A server that stops asks its watchers to come back to the next one.
  co_return stream.client_gone() ? Cancelled("the caller is gone") : StoreBusy();
}

}  // namespace cmkstore::service
