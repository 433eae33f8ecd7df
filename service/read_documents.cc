#include "service/read_documents.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "crypto/sealed_document.h"
#include "service/document_codec.h"
#include "service/limits.h"
#include "store/documents_table.h"

namespace cmkstore::service {
namespace {

// To what is answered: the document, or what it is called and why it does not open. An error is
// that of the whole call.
template <typename Response>
absl::Status AddTo(Response& response, const std::string& name,
                   absl::StatusOr<v1::Document> document, const HubEntry& hub,
                   UnreadableRows& unreadable) {
  if (document.ok()) {
    *response.add_documents() = *std::move(document);
    return absl::OkStatus();
  }
  if (!unreadable.GoesOnWithout(hub, document.status())) return document.status();
  v1::UnreadableDocument& shown = *response.add_unreadable();
  shown.set_name(name);
  shown.set_reason(ReasonOf(document.status()));
  return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<v1::Document>> ReadDocuments::OpenFound(
    const CallContext& context, const OpenHub& hub, const std::string& project_name,
    const store::DocumentKey& key, const crypto::SealedDocument& sealed, v1::DocumentView view) {
  const crypto::Binding binding = BindingOf(*hub.entry, crypto::RowKind::kDocument, key);
  auto opening = hubs_.OpenRow(context, hub, binding, sealed);
  absl::StatusOr<std::string> plaintext = co_await std::move(opening);
  if (!plaintext.ok()) co_return plaintext.status();
  CMK_CO_ASSIGN_OR_RETURN(storage::v1::DocumentBody body, ParseBody(*plaintext));
  const BlindName expected =
      hub.keys->names.Document(key.project, body.collection(), body.document());
  if (expected != key.document) co_return DocumentCorrupt();
  std::string name = absl::StrCat(project_name, "/collections/", body.collection(), "/documents/",
                                  body.document());
  co_return ToDocument(std::move(name), sealed, std::move(body), view);
}

Task<absl::StatusOr<v1::Document>> ReadDocuments::Get(const CallContext& context,
                                                      const v1::GetDocumentRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(const DocumentName name, DocumentName::Parse("name", request.name()));
  CMK_CO_RETURN_IF_ERROR(CheckView(request.view()));
  auto opening = hubs_.Open(context, name.project.hub);
  CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
  CMK_CO_ASSIGN_OR_RETURN(const ProjectUid project,
                          hubs_.Project(*hub.entry, name.project.project));
  const store::DocumentKey key = KeyOf(name, project, hub.keys->names);
  hub.entry->usage->Count(store::UsageCounter::kReadCalls);
  CMK_CO_ASSIGN_OR_RETURN(const std::optional<crypto::SealedDocument> sealed,
                          store::DocumentsTable(engine_).Get(hub.partition(), key));
  if (!sealed.has_value()) co_return NotFound("document");
  const crypto::Binding binding = BindingOf(*hub.entry, crypto::RowKind::kDocument, key);
  auto unsealing = hubs_.OpenRow(context, hub, binding, *sealed);
  absl::StatusOr<std::string> plaintext = co_await std::move(unsealing);
  if (!plaintext.ok()) co_return plaintext.status();
  CMK_CO_ASSIGN_OR_RETURN(storage::v1::DocumentBody body, ParseBody(*plaintext));
  hub.entry->usage->Count(store::UsageCounter::kDocumentsRead);
  co_return ToDocument(request.name(), *sealed, std::move(body), request.view());
}

Task<absl::StatusOr<v1::BatchGetDocumentsResponse>> ReadDocuments::BatchGet(
    const CallContext& context, const v1::BatchGetDocumentsRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(const HubName parent, HubName::Parse("parent", request.parent()));
  CMK_CO_RETURN_IF_ERROR(CheckView(request.view()));
  if (request.names().empty() || request.names_size() > kMaxBatchItems) {
    co_return FieldInvalid("names", absl::StrCat("must be 1 to ", kMaxBatchItems));
  }
  auto opening = hubs_.Open(context, parent);
  CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
  std::vector<store::DocumentKey> keys;
  std::vector<std::string> projects;
  for (const std::string& text : request.names()) {
    CMK_CO_ASSIGN_OR_RETURN(const DocumentName name, DocumentName::Parse("names", text));
    if (name.project.hub.ToString() != request.parent()) {
      co_return FieldInvalid("names", "must all be within parent");
    }
    CMK_CO_ASSIGN_OR_RETURN(const ProjectUid project,
                            hubs_.Project(*hub.entry, name.project.project));
    keys.push_back(KeyOf(name, project, hub.keys->names));
    projects.push_back(name.project.ToString());
  }
  hub.entry->usage->Count(store::UsageCounter::kReadCalls);
  CMK_CO_ASSIGN_OR_RETURN(const auto rows, store::DocumentsTable(engine_).MultiGet(
                                               hub.partition(), keys, kMaxBatchBytes));
  size_t bytes = 0;
  for (const auto& row : rows) bytes += row.ok() && row->has_value() ? (*row)->bytes().size() : 0;
  if (bytes > kMaxBatchBytes) {
    co_return FieldInvalid("names", "must name documents of at most 8 MiB together");
  }
  v1::BatchGetDocumentsResponse response;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string& name = request.names(static_cast<int>(i));
    absl::StatusOr<v1::Document> document;
    if (!rows[i].ok()) {
      document = rows[i].status();
    } else {
      if (!rows[i]->has_value()) {
        response.add_missing(name);
        continue;
      }
      auto found = OpenFound(context, hub, projects[i], keys[i], **rows[i], request.view());
      document = co_await std::move(found);
    }
    CMK_CO_RETURN_IF_ERROR(AddTo(response, name, std::move(document), *hub.entry, unreadable_));
  }
  hub.entry->usage->Count(store::UsageCounter::kDocumentsRead, response.documents_size());
  co_return response;
}

Task<absl::StatusOr<v1::ListDocumentsResponse>> ReadDocuments::List(
    const CallContext& context, const v1::ListDocumentsRequest& request) {
  CMK_CO_ASSIGN_OR_RETURN(const CollectionName parent,
                          CollectionName::Parse("parent", request.parent(), /*allow_all=*/true));
  CMK_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  CMK_CO_RETURN_IF_ERROR(CheckView(request.view()));
  auto opening = hubs_.Open(context, parent.project.hub);
  CMK_CO_ASSIGN_OR_RETURN(const OpenHub hub, co_await std::move(opening));
  CMK_CO_ASSIGN_OR_RETURN(const ProjectUid project,
                          hubs_.Project(*hub.entry, parent.project.project));
  std::optional<BlindName> collection;
  if (parent.collection.has_value()) {
    collection = hub.keys->names.Collection(project, parent.collection->value());
  }
  const Caller& caller = context.admitted.caller();
  // A project that was deleted and made again under its name is another one.
  const std::string question =
      absl::StrCat("ListDocuments ", request.view(), " ", project.ToHex(), " ", request.parent());
  CMK_CO_ASSIGN_OR_RETURN(const std::string cursor,
                          tokens_.Decode(caller, question, request.page_token()));
  CMK_CO_ASSIGN_OR_RETURN(
      const store::ReadableDocuments found_rows,
      store::DocumentsTable(engine_).WalkReadable(hub.partition(), {project, collection}, cursor,
                                                  {page_size + 1, kMaxPageBytes + 1}));
  const std::vector<store::DocumentRow>& rows = found_rows.rows;
  hub.entry->usage->Count(store::UsageCounter::kListCalls);
  v1::ListDocumentsResponse response;
  const std::string project_name = parent.project.ToString();
  size_t bytes = 0;
  bool full = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    bytes += rows[i].bytes;
    full = i == page_size || (i > 0 && bytes > kMaxPageBytes);
    if (full) {
      response.set_next_page_token(
          tokens_.Encode(caller, question, store::DocumentsTable::CursorAt(rows[i - 1].key)));
      break;
    }
    absl::StatusOr<v1::Document> document;
    if (!rows[i].sealed.ok()) {
      document = rows[i].sealed.status();
    } else {
      auto found =
          OpenFound(context, hub, project_name, rows[i].key, *rows[i].sealed, request.view());
      document = co_await std::move(found);
    }
    CMK_CO_RETURN_IF_ERROR(
        AddTo(response, project_name, std::move(document), *hub.entry, unreadable_));
  }
  if (found_rows.damaged && !full) {
    unreadable_.TellOfDamage(*hub.entry);
    v1::UnreadableDocument& shown = *response.add_unreadable();
    shown.set_name(project_name);
    shown.set_reason("STORE_CORRUPT");
    if (!found_rows.behind_damage.empty()) {
      response.set_next_page_token(tokens_.Encode(caller, question, found_rows.behind_damage));
    }
  }
  hub.entry->usage->Count(store::UsageCounter::kDocumentsRead, response.documents_size());
  co_return response;
}

}  // namespace cmkstore::service
