#include "service/search_documents.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/awaiters.h"
#include "service/document_codec.h"
#include "service/limits.h"
#include "service/timestamps.h"
#include "store/change_feed.h"
#include "store/documents_table.h"

namespace cmkstore::service {
namespace {

constexpr char kRebuildIndex[] = "rebuild-index";  // on disk
constexpr size_t kMaxOffset = 10'000;              // as many matches as an index counts
// How long the first search of a process waits for an index that is behind: what a second of writes
// has left is soon made good, a lag of minutes is not waited for.
constexpr absl::Duration kLevelTime = absl::Seconds(2);

// A passage with its matched words marked, as the API shows it.
void SetSnippet(absl::string_view marked, v1::SearchHit& hit) {
  std::string& text = *hit.mutable_snippet();
  for (const char c : marked) {
    if (c == search::kMatchBegin) {
      hit.add_highlights()->set_begin(static_cast<uint32_t>(text.size()));
    } else if (c == search::kMatchEnd && !hit.highlights().empty()) {
      hit.mutable_highlights()->rbegin()->set_end(static_cast<uint32_t>(text.size()));
    } else {
      text += c;
    }
  }
}

// What the token must be bound to: everything of the request but page size and token.
std::string QuestionOf(const v1::SearchRequest& request) {
  v1::SearchRequest question = request;
  question.clear_page_size();
  question.clear_page_token();
  question.clear_min_sequence();
  return absl::StrCat("Search ", question.SerializeAsString());
}

}  // namespace

SearchDocuments::SearchDocuments(HubAccess& hubs, store::Engine& engine, search::IndexSet& indexes,
                                 search::IndexFollower& follower, ChangeSignal& indexed,
                                 Operations& operations, UnreadableRows& unreadable, Worker& worker,
                                 Clock& clock, const PageTokens& tokens)
    : hubs_(hubs),
      engine_(engine),
      indexes_(indexes),
      follower_(follower),
      indexed_(indexed),
      operations_(operations),
      unreadable_(unreadable),
      worker_(worker),
      clock_(clock),
      tokens_(tokens) {
  operations_.AddKind(kRebuildIndex, [this](OperationRun& run) { return RunRebuild(run); });
}

struct SearchDocuments::Question {
  HubName hub;
  const v1::SearchRequest& request;
  search::SearchQuery query;
  std::string text;          // for the next page's token
  store::Sequence last = 0;  // of the hub, when the search began
};

Task<absl::Status> SearchDocuments::WaitForIndex(const CallContext& context, const OpenHub& hub,
                                                 store::Sequence sequence, absl::Time deadline) {
  const HubUid uid = hub.uid();
  while (follower_.IndexedSequence(uid) < sequence) {
    if (clock_.WallNow() >= deadline) co_return DeadlineExceeded("the search index");
    follower_.Hurry(uid, sequence);
    auto waiting = indexed_.Wait(context.executor, uid, deadline, [this, uid, sequence] {
      return follower_.IndexedSequence(uid) >= sequence;
    });
    co_await waiting;
    if (follower_.IndexedSequence(uid) >= sequence) break;
    if (absl::Status failure = follower_.FailureOf(uid); !failure.ok()) co_return failure;
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<v1::SearchResponse>> SearchDocuments::Search(const CallContext& context,
                                                                 const v1::SearchRequest& request) {
  absl::StatusOr<ProjectName> project = ProjectName::Parse("parent", request.parent());
  absl::StatusOr<HubName> name = HubName::Parse("parent", request.parent());
  if (project.ok()) name = project->hub;
  if (!name.ok()) co_return name.status();
  CMK_CO_RETURN_IF_ERROR(CheckView(request.view()));
  Question question{*name, request, {}, QuestionOf(request), 0};
  CMK_CO_ASSIGN_OR_RETURN(question.query.limit, PageSize(request.page_size()));
  CMK_CO_ASSIGN_OR_RETURN(
      const std::string cursor,
      tokens_.Decode(context.admitted.caller(), question.text, request.page_token()));
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &question.query.offset)) {
    co_return InvariantBroken("a search's page token holds no number");
  }
  question.query.text = request.query();
  question.query.filter = request.filter();
  question.query.order_by = request.order_by();
  question.query.facets = {request.facets().begin(), request.facets().end()};
  auto opening = hubs_.Open(context, *name);
  CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
  hub.entry->usage->Count(store::UsageCounter::kSearchCalls);
  if (project.ok()) {
    CMK_CO_RETURN_IF_ERROR(hubs_.Project(*hub.entry, project->project).status());
    question.query.project = project->project.value();
  }
  CMK_CO_ASSIGN_OR_RETURN(question.last, engine_.LastSequence(hub.partition()));
  CMK_CO_ASSIGN_OR_RETURN(
      const bool known,
      store::ChangeFeed(engine_).Has(hub.partition(), request.min_sequence(), question.last));
  if (!known) {
    co_return FieldInvalid("min_sequence",
                           "must be one that a write of this hub has returned; after a restore "
                           "those of writes that the backup does not have are none");
  }
  const absl::Time deadline = context.admitted.deadline();
  question.query.given_up = [this, deadline] { return clock_.WallNow() >= deadline; };
  auto waiting = WaitForIndex(context, hub, request.min_sequence(), deadline);
  CMK_CO_RETURN_IF_ERROR(co_await std::move(waiting));
  if (follower_.IndexedSequence(hub.uid()) == 0) {
    // An index that this process has not looked at yet may be behind by what a crash left. That is
    // levelled first if it is soon done, and else told of.
    const absl::Time now = clock_.WallNow();
    auto levelling = WaitForIndex(context, hub, question.last,
                                  std::min(now + kLevelTime, now + (deadline - now) / 2));
    const absl::Status level = co_await std::move(levelling);
    if (!level.ok() && !HasReason(level, "DEADLINE_EXCEEDED")) co_return level;
  }
  CMK_CO_RETURN_IF_ERROR(co_await OnWorker(worker_, name->tenant.value()));
  co_return Answer(context.admitted, hub, question);
}

absl::StatusOr<v1::SearchResponse> SearchDocuments::Answer(const AdmittedCall& call,
                                                           const OpenHub& hub,
                                                           const Question& question) {
  absl::StatusOr<search::SearchResult> found = [&]() -> absl::StatusOr<search::SearchResult> {
    CMK_ASSIGN_OR_RETURN(const auto index, indexes_.Open(hub.uid()));
    return index->Search(question.query);
  }();
  if (HasReason(found.status(), "INDEX_CORRUPT")) {
    follower_.Repair(hub.uid(), found.status());
    return found.status();
  }
  CMK_RETURN_IF_ERROR(found.status());
  v1::SearchResponse response;
  size_t used = 0, bytes = 0;
  for (const search::SearchHit& hit : found->hits) {
    if (bytes > kMaxPageBytes) break;
    ++used;
    std::string name = absl::StrCat(question.hub.ToString(), "/projects/", hit.project,
                                    "/collections/", hit.collection, "/documents/", hit.document);
    absl::StatusOr<std::optional<v1::Document>> document =
        ReadHit(call, hub, hit, name, question.request.view() == v1::FULL ? v1::FULL : v1::BASIC);
    if (!document.ok()) {
      if (!unreadable_.GoesOnWithout(*hub.entry, document.status())) return document.status();
      response.add_unreadable(std::move(name));
      continue;
    }
    if (!document->has_value()) continue;  // deleted since; the index follows
    v1::SearchHit& shown = *response.add_hits();
    *shown.mutable_document() = **std::move(document);
    shown.set_score(hit.score);
    // A passage of an earlier state may show what has been taken out of the document since.
    if (ToTime(shown.document().update_time()) == hit.update_time) SetSnippet(hit.snippet, shown);
    bytes += shown.ByteSizeLong();
  }
  for (size_t i = 0; i < question.query.facets.size(); ++i) {
    v1::Facet& facet = *response.add_facets();
    facet.set_field(question.query.facets[i]);
    for (search::FacetValue& value : found->facets[i]) {
      v1::FacetValue& shown = *facet.add_values();
      shown.set_value(std::move(value.value));
      shown.set_count(value.count);
    }
  }
  CMK_ASSIGN_OR_RETURN(const bool level,
                       IsLevel(hub.partition(), found->indexed_sequence, question.last));
  response.set_total_size(found->total);
  response.set_total_is_exact(found->total_is_exact && level);
  response.set_last_sequence(std::max(question.last, found->indexed_sequence));
  response.set_indexed_sequence(level ? response.last_sequence() : found->indexed_sequence);
  const size_t next = question.query.offset + used;
  if (used > 0 && next < found->total && next < kMaxOffset) {
    response.set_next_page_token(tokens_.Encode(call.caller(), question.text, absl::StrCat(next)));
  }
  return response;
}

absl::StatusOr<bool> SearchDocuments::IsLevel(const store::Partition& hub, store::Sequence indexed,
                                              store::Sequence last) const {
  if (indexed >= last) return true;
  CMK_ASSIGN_OR_RETURN(const std::vector<store::FeedEntry> next,
                       store::ChangeFeed(engine_).ReadAfter(hub, indexed, 1));
  return next.empty() || next.front().sequence > last;
}

absl::StatusOr<std::optional<v1::Document>> SearchDocuments::ReadHit(const AdmittedCall& call,
                                                                     const OpenHub& hub,
                                                                     const search::SearchHit& hit,
                                                                     const std::string& name,
                                                                     v1::DocumentView view) {
  CMK_ASSIGN_OR_RETURN(const DocumentName document, DocumentName::Parse("hit", name));
  const absl::StatusOr<ProjectUid> project = hubs_.Project(*hub.entry, document.project.project);
  if (HasReason(project.status(), "PROJECT_NOT_FOUND")) return std::nullopt;
  CMK_RETURN_IF_ERROR(project.status());
  if (project->bytes() != hit.project_uid) return std::nullopt;
  const store::DocumentKey key = KeyOf(document, *project, hub.keys->names);
  CMK_ASSIGN_OR_RETURN(const std::optional<crypto::SealedDocument> sealed,
                       store::DocumentsTable(engine_).Get(hub.partition(), key));
  if (!sealed.has_value()) return std::nullopt;
  CMK_ASSIGN_OR_RETURN(
      const std::string plaintext,
      hubs_.OpenRowBlocking(*hub.keys, call.deadline(),
                            BindingOf(*hub.entry, crypto::RowKind::kDocument, key), *sealed));
  CMK_ASSIGN_OR_RETURN(storage::v1::DocumentBody body, ParseBody(plaintext));
  return ToDocument(name, *sealed, std::move(body), view);
}

void SearchDocuments::DescribeFailure(HubUid hub, v1::SearchIndex& shown) const {
  const absl::Status failure = follower_.FailureOf(hub);
  if (failure.ok()) return;
  shown.set_failure_reason(ReasonOf(failure));
  shown.set_failure_message(std::string(failure.message()));
  const std::optional<absl::Duration> next_try = follower_.NextTryOf(hub);
  if (!next_try.has_value()) return;
  *shown.mutable_next_try_time() = ToTimestamp(clock_.WallNow() + *next_try);
}

absl::StatusOr<v1::SearchIndex> SearchDocuments::Describe(const HubEntry& hub) {
  v1::SearchIndex shown;
  shown.set_name(
      absl::StrCat("tenants/", hub.record.tenant(), "/hubs/", hub.record.hub(), "/searchIndex"));
  CMK_ASSIGN_OR_RETURN(const store::Sequence last, engine_.LastSequence(hub.partition));
  shown.set_last_sequence(last);
  absl::StatusOr<search::IndexStats> stats = [&]() -> absl::StatusOr<search::IndexStats> {
    CMK_ASSIGN_OR_RETURN(const auto index, indexes_.Open(hub.uid));
    return index->Stats();
  }();
  if (HasReason(stats.status(), "CUSTOMER_KEY_REVOKED") ||
      HasReason(stats.status(), "HUB_LOCKED") || HasReason(stats.status(), "STATE_INVALID")) {
    shown.set_state(v1::SearchIndex::LOCKED);
    return shown;
  }
  DescribeFailure(hub.uid, shown);
  if (HasReason(stats.status(), "INDEX_CORRUPT")) {
    follower_.Repair(hub.uid, stats.status());
    shown.set_state(v1::SearchIndex::REBUILDING);
    return shown;
  }
  CMK_RETURN_IF_ERROR(stats.status());
  shown.set_state(indexes_.IsRebuilding(hub.uid) ? v1::SearchIndex::REBUILDING
                                                 : v1::SearchIndex::SERVING);
  shown.set_document_count(stats->documents);
  shown.set_unreadable_count(stats->unreadable);
  shown.set_size_bytes(stats->file_bytes);
  CMK_ASSIGN_OR_RETURN(const bool level, IsLevel(hub.partition, stats->indexed_sequence, last));
  shown.set_indexed_sequence(level ? std::max(last, stats->indexed_sequence)
                                   : stats->indexed_sequence);
  return shown;
}

absl::StatusOr<v1::SearchIndex> SearchDocuments::GetIndex(
    const AdmittedCall& call, const v1::GetSearchIndexRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name,
                       HubName::ParseSingleton("name", request.name(), "searchIndex"));
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr hub, hubs_.Find(call, name));
  return Describe(*hub);
}

absl::StatusOr<google::longrunning::Operation> SearchDocuments::Rebuild(
    const AdmittedCall& call, const v1::RebuildSearchIndexRequest& request) {
  CMK_ASSIGN_OR_RETURN(const HubName name,
                       HubName::ParseSingleton("name", request.name(), "searchIndex"));
  CMK_ASSIGN_OR_RETURN(const OpenHub hub, hubs_.OpenBlocking(call, name));
  // It would end with this: who does not wait for its end shall hear of it.
  if (operations_.IsUnderWay(kRebuildIndex, hub.uid()) || indexes_.IsRebuilding(hub.uid())) {
    return StateInvalid("the index is being rebuilt already");
  }
  return operations_.Start(*hub.entry, kRebuildIndex, "");
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> SearchDocuments::RunRebuild(
    OperationRun& run) {
  const HubUid uid = run.hub()->uid;
  CMK_RETURN_IF_ERROR(follower_.Rebuild(uid, [&](uint64_t documents) -> absl::Status {
    run.Progress(documents, 0);
    return run.CheckGoOn();
  }));
  auto result = std::make_unique<v1::SearchIndex>();
  CMK_ASSIGN_OR_RETURN(*result, Describe(*run.hub()));
  return result;
}

}  // namespace cmkstore::service
