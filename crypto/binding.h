#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace cmkstore::crypto {

// What kind of row a ciphertext belongs to; each kind has its own label in the associated data, so
// no ciphertext can be moved between kinds. On disk by its label; a label is never reused.
enum class RowKind {
  kDocument,    // "cmkstore/document/v1"
  kTombstone,   // "cmkstore/tombstone/v1": name of a deleted document, in the change feed
  kResponse,    // "cmkstore/response/v1": first answer to a request_id
  kProject,     // "cmkstore/project/v1": what a caller said of a project
  kHub,         // "cmkstore/hub/v1": what a caller said of a hub
  kHubSecrets,  // "cmkstore/hub-secrets/v1": name key and index key
  kAudit,       // "cmkstore/audit/v1"
};

// The who-and-where that a ciphertext is bound to. Always made from the request or from the walk
// that found the row's key, never from the row's value. Fields that a kind has not are empty.
//
// Value type; holds customer content (collection, document): never log it.
struct Binding {
  RowKind kind = RowKind::kDocument;
  std::string tenant;
  HubUid hub;
  std::string project;  // ProjectUid bytes, or empty
  std::string collection;
  std::string document;

  // label "\0" ‖ header ‖ for each of (tenant, hub, project, collection, document):
  // u32 big-endian length ‖ bytes.
  std::string AssociatedData(absl::string_view envelope_header) const;
};

}  // namespace cmkstore::crypto
