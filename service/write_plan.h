#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "cmkstore/v1/document_service.pb.h"
#include "crypto/sealed_document.h"
#include "service/resource_name.h"

namespace cmkstore::service {

// One wanted write, checked against the bounds of the API. Points into its request.
struct WriteIntent {
  enum class Kind { kCreate, kUpdate, kUpsert, kDelete, kDeleteIfPresent };
  Kind kind = Kind::kCreate;
  DocumentName name;
  const v1::Document* document = nullptr;  // null for deletes
  std::string etag;                        // empty: any
  std::string field = "document";          // the document's path in the request
  bool set_content = true;                 // what an update mask leaves in; all true without one
  bool set_content_type = true;
  bool set_labels = true;
};

// Checks content, labels and media type of a document that a caller sent. `field` is its path in
// the request. Errors: FIELD_INVALID naming every field and its limit.
absl::Status CheckDocument(absl::string_view field, const v1::Document& document);

// Reads an update mask into the intent. Errors: FIELD_INVALID for an unknown path.
absl::Status ApplyUpdateMask(const google::protobuf::FieldMask& mask, WriteIntent& intent);

// Reads one write of a batch, `field` of its request. Errors: FIELD_INVALID.
absl::StatusOr<WriteIntent> IntentOf(absl::string_view field, const v1::DocumentWrite& write);

// What is stored under a name now.
struct CurrentRow {
  crypto::SealedDocument sealed;
  storage::v1::DocumentBody body;
};

// What a write makes of the current row: the next body and revision, or nothing for a delete.
struct PlannedRow {
  std::optional<storage::v1::DocumentBody> body;
  uint64_t revision = 0;
};

// Decides one write. Pure. Nullopt: nothing to do (deleting what is not there, with allow_missing).
// Errors: DOCUMENT_ALREADY_EXISTS, DOCUMENT_NOT_FOUND, ETAG_MISMATCH; FIELD_INVALID when content or
// type is set and the content is not the JSON that the type says.
absl::StatusOr<std::optional<PlannedRow>> PlanWrite(const WriteIntent& intent,
                                                    const CurrentRow* current, absl::Time now);

}  // namespace cmkstore::service
