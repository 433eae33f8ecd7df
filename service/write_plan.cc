#include "service/write_plan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/content_type.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/document_codec.h"
#include "service/limits.h"

namespace cmkstore::service {
namespace {

constexpr absl::string_view kDefaultContentType = "application/json";

absl::Status CheckExistence(const WriteIntent& intent, bool exists) {
  switch (intent.kind) {
    case WriteIntent::Kind::kCreate: return exists ? AlreadyExists("document") : absl::OkStatus();
    case WriteIntent::Kind::kUpdate:
    case WriteIntent::Kind::kDelete: return exists ? absl::OkStatus() : NotFound("document");
    case WriteIntent::Kind::kUpsert:
    case WriteIntent::Kind::kDeleteIfPresent: return absl::OkStatus();
  }
  return InvariantBroken("unknown kind of write");
}

}  // namespace

absl::Status CheckDocument(absl::string_view field, const v1::Document& document) {
  CMK_RETURN_IF_ERROR(CheckContent(absl::StrCat(field, ".content"), document.content()));
  CMK_RETURN_IF_ERROR(
      CheckContentType(absl::StrCat(field, ".content_type"), document.content_type()));
  CMK_RETURN_IF_ERROR(CheckLabels(absl::StrCat(field, ".labels"), document.labels()));
  return absl::OkStatus();
}

absl::Status ApplyUpdateMask(const google::protobuf::FieldMask& mask, WriteIntent& intent) {
  if (mask.paths().empty()) return absl::OkStatus();
  intent.set_content = intent.set_content_type = intent.set_labels = false;
  for (const std::string& path : mask.paths()) {
    if (path == "*") {
      intent.set_content = intent.set_content_type = intent.set_labels = true;
    } else if (path == "content") {
      intent.set_content = true;
    } else if (path == "content_type") {
      intent.set_content_type = true;
    } else if (path == "labels") {
      intent.set_labels = true;
    } else {
      return FieldInvalid("update_mask", "may name content, content_type, labels or *");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<WriteIntent> IntentOf(absl::string_view field, const v1::DocumentWrite& write) {
  using Kind = WriteIntent::Kind;
  Kind kind = Kind::kDelete;
  const v1::Document* document = nullptr;
  std::string path = absl::StrCat(field, ".delete");
  switch (write.write_case()) {
    case v1::DocumentWrite::kCreate:
      kind = Kind::kCreate;
      document = &write.create();
      path = absl::StrCat(field, ".create");
      break;
    case v1::DocumentWrite::kUpdate:
      kind = Kind::kUpdate;
      document = &write.update();
      path = absl::StrCat(field, ".update");
      break;
    case v1::DocumentWrite::kUpsert:
      kind = Kind::kUpsert;
      document = &write.upsert();
      path = absl::StrCat(field, ".upsert");
      break;
    case v1::DocumentWrite::kDelete: break;
    case v1::DocumentWrite::WRITE_NOT_SET:
      return FieldInvalid(field, "must say create, update, upsert or delete");
  }
  if (document == nullptr) {
    CMK_ASSIGN_OR_RETURN(DocumentName name, DocumentName::Parse(path, write.delete_()));
    return WriteIntent{kind, std::move(name), nullptr, "", std::move(path)};
  }
  CMK_RETURN_IF_ERROR(CheckDocument(path, *document));
  CMK_ASSIGN_OR_RETURN(DocumentName name,
                       DocumentName::Parse(absl::StrCat(path, ".name"), document->name()));
  return WriteIntent{kind, std::move(name), document, kind == Kind::kCreate ? "" : document->etag(),
                     std::move(path)};
}

absl::StatusOr<std::optional<PlannedRow>> PlanWrite(const WriteIntent& intent,
                                                    const CurrentRow* current, absl::Time now) {
  CMK_RETURN_IF_ERROR(CheckExistence(intent, current != nullptr));
  if (!intent.etag.empty() && (current == nullptr || EtagOf(current->sealed) != intent.etag)) {
    return EtagMismatch();
  }
  PlannedRow row;
  row.revision = current == nullptr ? 1 : current->sealed.revision() + 1;
  if (intent.document == nullptr) {
    if (current == nullptr) return std::nullopt;
    return row;
  }

  storage::v1::DocumentBody body = current == nullptr ? storage::v1::DocumentBody() : current->body;
  const v1::Document& wanted = *intent.document;
  if (intent.set_content) body.set_content(wanted.content());
  if (intent.set_content_type) {
    body.set_content_type(wanted.content_type().empty() ? std::string(kDefaultContentType)
                                                        : wanted.content_type());
  }
  if (intent.set_labels) *body.mutable_labels() = wanted.labels();
  if (body.content_type().empty()) body.set_content_type(std::string(kDefaultContentType));
  body.set_collection(intent.name.collection.value());
  body.set_document(intent.name.document.value());
  const int64_t now_micros = absl::ToUnixMicros(now);
  if (current == nullptr) body.set_create_time_micros(now_micros);
  body.set_update_time_micros(now_micros);
  const bool told = intent.set_content || intent.set_content_type;
  if (told && IsJsonType(body.content_type()) && !body.content().empty()) {
    CMK_RETURN_IF_ERROR(CheckJson(absl::StrCat(intent.field, ".content"), body.content()));
  }
  row.body = std::move(body);
  return row;
}

}  // namespace cmkstore::service
