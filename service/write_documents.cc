#include "service/write_documents.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/errors.h"
#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "service/awaiters.h"
#include "service/document_codec.h"
#include "service/limits.h"
#include "service/timestamps.h"
#include "store/change_feed.h"
#include "store/documents_table.h"
#include "store/tables.h"
#include "store/usage_table.h"

namespace cmkstore::service {
namespace {

// A row that changed between the read and the commit; never leaves this file.
constexpr absl::string_view kConflict = "WRITE_CONFLICT";

absl::Status Conflict() {
  return MakeError(absl::StatusCode::kAborted, kConflict, "the row changed meanwhile");
}

// Protos do not promise one serialization for ever, but within a day and a version they keep it:
// with maps in the order of their keys, for their order in memory differs from call to call.
template <typename Request>
std::string DigestOf(const Request& request) {
  if (request.request_id().empty()) return "";
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream output(&bytes);
    google::protobuf::io::CodedOutputStream coded(&output);
    coded.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&coded);
  }
  return crypto::Sha256(bytes);
}

}  // namespace

absl::Status WriteDocuments::WriteCall::OfWrite(size_t place, const absl::Status& status) const {
  return is_batch ? AnnotateField(status, absl::StrCat("writes[", place, "]")) : status;
}

struct WriteDocuments::Attempt {
  store::WriteSet writes;
  storage::v1::FeedRecord feed;
  v1::BatchWriteDocumentsResponse response;
  absl::Time time;
  store::UsageNumbers usage;
};

Task<absl::StatusOr<v1::Document>> WriteDocuments::Create(
    const CallContext& context, const v1::CreateDocumentRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(CollectionName parent,
                          CollectionName::Parse("parent", request.parent(), /*allow_all=*/false));
  CMK_CO_RETURN_IF_ERROR(CheckId("document_id", request.document_id()));
  CMK_CO_ASSIGN_OR_RETURN(DocumentId id, DocumentId::Parse(request.document_id()));
  CMK_CO_RETURN_IF_ERROR(CheckDocument("document", request.document()));
  WriteCall call{
      parent.project.hub, {}, request.request_id(), DigestOf(request), request.validate_only()};
  WriteIntent intent{WriteIntent::Kind::kCreate,
                     DocumentName{parent.project, *parent.collection, std::move(id)},
                     &request.document(), ""};
  call.intents.push_back(std::move(intent));
  auto running = RunOne(context, std::move(call));
  co_return co_await std::move(running);
}

Task<absl::StatusOr<v1::Document>> WriteDocuments::Update(
    const CallContext& context, const v1::UpdateDocumentRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(DocumentName name,
                          DocumentName::Parse("document.name", request.document().name()));
  CMK_CO_RETURN_IF_ERROR(CheckDocument("document", request.document()));
  WriteCall call{
      name.project.hub, {}, request.request_id(), DigestOf(request), request.validate_only()};
  WriteIntent intent{
      request.allow_missing() ? WriteIntent::Kind::kUpsert : WriteIntent::Kind::kUpdate,
      std::move(name), &request.document(), request.document().etag()};
  CMK_CO_RETURN_IF_ERROR(ApplyUpdateMask(request.update_mask(), intent));
  call.intents.push_back(std::move(intent));
  auto running = RunOne(context, std::move(call));
  co_return co_await std::move(running);
}

Task<absl::StatusOr<v1::DeleteDocumentResponse>> WriteDocuments::Delete(
    const CallContext& context, const v1::DeleteDocumentRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(DocumentName name, DocumentName::Parse("name", request.name()));
  WriteCall call{name.project.hub, {}, request.request_id(), DigestOf(request), false};
  WriteIntent intent{
      request.allow_missing() ? WriteIntent::Kind::kDeleteIfPresent : WriteIntent::Kind::kDelete,
      std::move(name), nullptr, request.etag()};
  call.intents.push_back(std::move(intent));
  auto running = Run(context, call);
  absl::StatusOr<v1::BatchWriteDocumentsResponse> result = co_await std::move(running);
  if (!result.ok()) co_return result.status();
  v1::DeleteDocumentResponse response;
  if (!result->documents(0).name().empty()) response.set_sequence(result->sequence());
  co_return response;
}

Task<absl::StatusOr<v1::BatchWriteDocumentsResponse>> WriteDocuments::Batch(
    const CallContext& context, const v1::BatchWriteDocumentsRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(HubName parent, HubName::Parse("parent", request.parent()));
  if (request.writes().empty() || request.writes_size() > kMaxBatchItems) {
    co_return FieldInvalid("writes", absl::StrCat("must be 1 to ", kMaxBatchItems));
  }
  if (request.ByteSizeLong() > kMaxBatchBytes) {
    co_return FieldInvalid("writes", "must be at most 8 MiB together");
  }
  WriteCall call{parent, {}, request.request_id(), DigestOf(request), false, /*is_batch=*/true};
  std::set<std::string> names;
  for (int i = 0; i < request.writes_size(); ++i) {
    const v1::DocumentWrite& write = request.writes(i);
    const std::string field = absl::StrCat("writes[", i, "]");
    CMK_CO_ASSIGN_OR_RETURN(WriteIntent intent, IntentOf(field, write));
    if (intent.name.project.hub.ToString() != request.parent()) {
      co_return FieldInvalid(field, "must be within parent");
    }
    if (!names.insert(intent.name.ToString()).second) {
      co_return FieldInvalid(field, "names a document twice");
    }
    call.intents.push_back(std::move(intent));
  }
  auto running = Run(context, call);
  co_return co_await std::move(running);
}

Task<absl::StatusOr<v1::Document>> WriteDocuments::RunOne(const CallContext& context,
                                                          WriteCall call) {
  auto running = Run(context, call);
  absl::StatusOr<v1::BatchWriteDocumentsResponse> result = co_await std::move(running);
  if (!result.ok()) co_return result.status();
  v1::Document document = std::move(*result->mutable_documents(0));
  document.set_sequence(result->sequence());
  co_return document;
}

Task<absl::StatusOr<v1::BatchWriteDocumentsResponse>> WriteDocuments::Run(
    const CallContext& context, const WriteCall& call) {
  CMK_CO_RETURN_IF_ERROR(CheckRequestId(call.request_id));
  // Each time that another write came first, that one was made: so all are, one by one, as long as
  // their time lasts.
  for (;;) {
    // Anew each time: the hub may have been locked or deleted meanwhile, or have another key.
    auto opening = hubs_.Open(context, call.hub);
    CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
    std::vector<store::DocumentKey> keys;
    std::map<ProjectId, ProjectUid> projects;
    for (const WriteIntent& intent : call.intents) {
      const absl::StatusOr<ProjectUid> project =
          hubs_.Project(*hub.entry, intent.name.project.project);
      if (!project.ok()) co_return call.OfWrite(keys.size(), project.status());
      keys.push_back(KeyOf(intent.name, *project, hub.keys->names));
      projects.insert({intent.name.project.project, *project});
    }
    FirstAnswers::Kept kept;
    if (!call.request_id.empty()) {
      auto looking = first_answers_.Find(context, hub, call.request_id, call.request_digest);
      CMK_CO_ASSIGN_OR_RETURN(kept, co_await std::move(looking));
      if (kept.answer.has_value()) co_return *std::move(kept.answer);
    }
    auto preparing = Prepare(context, hub, call, keys);
    CMK_CO_ASSIGN_OR_RETURN(Attempt prepared, co_await std::move(preparing));
    CMK_CO_ASSIGN_OR_RETURN(
        StorageReservation room,
        quota_.Reserve(hub.entry->record.tenant(), StoredAmount::Of(prepared.usage)));
    // With a request_id also that there was nothing to delete is kept: a repeat must not delete
    // what somebody has made since.
    const bool keeps = !call.request_id.empty();
    if (call.validate_only || (prepared.writes.empty() && !keeps)) {
      co_return std::move(prepared.response);
    }
    if (keeps) {
      CMK_CO_RETURN_IF_ERROR(first_answers_.Keep(hub, call.request_id, call.request_digest, kept,
                                                 prepared.response, Conflict(), prepared.writes,
                                                 prepared.feed));
    }
    // A project that was deleted meanwhile must not get documents that nobody would ever remove.
    for (const auto& [id, uid] : projects) {
      store::ProjectsTable::RequireUid(prepared.writes, id.value(), uid, NotFound("project"));
    }
    store::ChangeFeed::Append(prepared.writes, prepared.feed);
    prepared.usage[store::UsageCounter::kWriteCalls] = 1;
    store::UsageTable::Add(prepared.writes, HourOf(prepared.time), prepared.usage);
    auto applying =
        AwaitCompletion<store::Sequence>(context.executor, [&](Completion<store::Sequence> done) {
          engine_.Apply(hub.partition(), std::move(prepared.writes), std::move(done));
        });
    const absl::StatusOr<store::Sequence> sequence = co_await applying;
    if (sequence.ok()) {
      room.Committed();
      hub.entry->usage->NoteWrite();
      committed_(hub.uid(), *sequence);
      prepared.response.set_sequence(*sequence);
      co_return std::move(prepared.response);
    }
    if (!HasReason(sequence.status(), kConflict)) co_return sequence.status();
    if (clock_.WallNow() >= context.admitted.deadline()) {
      co_return DeadlineExceeded("other writes of the same document");
    }
  }
}

Task<absl::StatusOr<WriteDocuments::Attempt>> WriteDocuments::Prepare(
    const CallContext& context, const OpenHub& hub, const WriteCall& call,
    const std::vector<store::DocumentKey>& keys) {
  // What is there now, some at a time: each may be a MiB.
  store::DocumentsTable::Answers rows;
  size_t read = 0;  // of the keys, `rows` included
  const absl::Time now = clock_.WallNow();
  Attempt attempt;
  attempt.time = now;
  attempt.feed.set_commit_time_micros(absl::ToUnixMicros(now));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i == read) {
      CMK_CO_ASSIGN_OR_RETURN(
          rows, store::DocumentsTable(engine_).MultiGet(
                    hub.partition(), absl::MakeConstSpan(keys).subspan(i), kMaxBatchBytes));
      read += rows.size();
    }
    CMK_CO_ASSIGN_OR_RETURN(std::optional<crypto::SealedDocument> row,
                            std::move(rows[rows.size() - (read - i)]));
    std::optional<CurrentRow> current;
    if (row.has_value()) {
      const crypto::Binding binding = BindingOf(*hub.entry, crypto::RowKind::kDocument, keys[i]);
      auto opening = hubs_.OpenRow(context, hub, binding, *row);
      absl::StatusOr<std::string> plaintext = co_await std::move(opening);
      if (absl::IsDataLoss(plaintext.status())) co_return call.OfWrite(i, plaintext.status());
      if (!plaintext.ok()) co_return plaintext.status();
      CMK_CO_ASSIGN_OR_RETURN(storage::v1::DocumentBody body, ParseBody(*plaintext));
      current.emplace(CurrentRow{*std::move(row), std::move(body)});
    }
    const CurrentRow* now_there = current.has_value() ? &*current : nullptr;
    absl::StatusOr<std::optional<PlannedRow>> planned = PlanWrite(call.intents[i], now_there, now);
    if (!planned.ok()) co_return call.OfWrite(i, planned.status());
    if (planned->has_value()) {
      CMK_CO_RETURN_IF_ERROR(
          AddRow(hub, keys[i], call.intents[i], now_there, **std::move(planned), now, attempt));
    } else {
      store::DocumentsTable::RequireAbsent(attempt.writes, keys[i], Conflict());
      attempt.response.add_documents();  // without a name: there was none
    }
  }
  co_return attempt;
}

absl::Status WriteDocuments::AddRow(const OpenHub& hub, const store::DocumentKey& key,
                                    const WriteIntent& intent, const CurrentRow* current,
                                    PlannedRow planned, absl::Time now, Attempt& attempt) {
  if (current == nullptr) {
    store::DocumentsTable::RequireAbsent(attempt.writes, key, Conflict());
  } else {
    store::DocumentsTable::RequireUnchanged(attempt.writes, key, current->sealed, Conflict());
  }
  using Counter = store::UsageCounter;
  ++attempt.usage[Counter::kDocumentsWritten];
  if (current != nullptr) {
    --attempt.usage[Counter::kDocuments];
    attempt.usage[Counter::kStoredBytes] -= static_cast<int64_t>(current->sealed.bytes().size());
  }
  storage::v1::FeedChange& change = *attempt.feed.add_changes();
  change.set_project_uid(std::string(key.project.bytes()));
  change.set_blind_collection(std::string(key.collection.bytes()));
  change.set_blind_document(std::string(key.document.bytes()));
  change.set_revision(planned.revision);
  std::string name = intent.name.ToString();
  if (!planned.body.has_value()) {
    store::DocumentsTable::Delete(attempt.writes, key);
    storage::v1::TombstoneBody tombstone;
    tombstone.set_collection(intent.name.collection.value());
    tombstone.set_document(intent.name.document.value());
    tombstone.set_delete_time_micros(absl::ToUnixMicros(now));
    change.set_kind(storage::v1::FeedChange::KIND_DOCUMENT_DELETED);
    CMK_ASSIGN_OR_RETURN(
        crypto::SealedDocument sealed,
        crypto::Seal(hub.keys->seal, BindingOf(*hub.entry, crypto::RowKind::kTombstone, key),
                     planned.revision, tombstone.SerializeAsString(), random_));
    change.set_sealed_tombstone(std::move(sealed).Release());
    attempt.response.add_documents()->set_name(std::move(name));
    return absl::OkStatus();
  }
  change.set_kind(storage::v1::FeedChange::KIND_DOCUMENT_PUT);
  CMK_ASSIGN_OR_RETURN(
      crypto::SealedDocument sealed,
      crypto::Seal(hub.keys->seal, BindingOf(*hub.entry, crypto::RowKind::kDocument, key),
                   planned.revision, SerializeBody(*planned.body), random_));
  *attempt.response.add_documents() =
      ToDocument(std::move(name), sealed, *std::move(planned.body), v1::BASIC);
  ++attempt.usage[Counter::kDocuments];
  attempt.usage[Counter::kStoredBytes] += static_cast<int64_t>(sealed.bytes().size());
  store::DocumentsTable::Put(attempt.writes, key, std::move(sealed));
  return absl::OkStatus();
}

}  // namespace cmkstore::service
