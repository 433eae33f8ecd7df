#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "cmkstore/v1/document_service.pb.h"
#include "crypto/binding.h"
#include "crypto/blind_name.h"
#include "crypto/sealed_document.h"
#include "service/hub_directory.h"
#include "service/resource_name.h"
#include "store/documents_table.h"

namespace cmkstore::service {

// Between the API's Document and what is sealed: pure functions, no I/O. What they hold is customer
// content: never log it.

// Opaque; differs between any two writes of any document, also across delete and re-creation.
std::string EtagOf(const crypto::SealedDocument& sealed);

// Where a document of this key must open, and nowhere else. The key's blind names come from the
// request's names, or from the walk that found the row, never from the row's value
// (docs/adr/0005-binding-to-blind-names.md).
crypto::Binding BindingOf(const HubEntry& hub, crypto::RowKind kind, const store::DocumentKey& key);
store::DocumentKey KeyOf(const DocumentName& name, ProjectUid project,
                         const crypto::NameKey& names);

// Errors: FIELD_INVALID for a value that is no view.
absl::Status CheckView(v1::DocumentView view);

// Errors: DOCUMENT_CORRUPT when an opened plaintext is no body.
absl::StatusOr<storage::v1::DocumentBody> ParseBody(absl::string_view plaintext);
std::string SerializeBody(const storage::v1::DocumentBody& body);

// Takes the body's content and labels. `view` BASIC leaves content out.
v1::Document ToDocument(std::string name, const crypto::SealedDocument& sealed,
                        storage::v1::DocumentBody body, v1::DocumentView view);

}  // namespace cmkstore::service
