#pragma once

#include <string>
#include <vector>

#include "cmkstore/v1/document_service.pb.h"
#include "service/hub_access.h"
#include "service/page_token.h"
#include "service/unreadable_rows.h"
#include "store/documents_table.h"
#include "store/engine.h"

namespace cmkstore::service {

// The reading half of DocumentService: get, batch get, list. A list and a batch go on without a
// document that does not open, a list also without those of a damaged block, and say so.
// Thread-safe.
class ReadDocuments {
 public:
  ReadDocuments(HubAccess& hubs, store::Engine& engine, UnreadableRows& unreadable,
                const PageTokens& tokens)
      : hubs_(hubs), engine_(engine), unreadable_(unreadable), tokens_(tokens) {}

  Task<absl::StatusOr<v1::Document>> Get(const CallContext& context,
                                         const v1::GetDocumentRequest& request);
  Task<absl::StatusOr<v1::BatchGetDocumentsResponse>> BatchGet(
      const CallContext& context, const v1::BatchGetDocumentsRequest& request);
  Task<absl::StatusOr<v1::ListDocumentsResponse>> List(const CallContext& context,
                                                       const v1::ListDocumentsRequest& request);

  // Opens a stored row. For a row found by a walk the name is inside it: it must hash to the key it
  // was found under.
  Task<absl::StatusOr<v1::Document>> OpenFound(const CallContext& context, const OpenHub& hub,
                                               const std::string& project_name,
                                               const store::DocumentKey& key,
                                               const crypto::SealedDocument& sealed,
                                               v1::DocumentView view);

 private:
  HubAccess& hubs_;
  store::Engine& engine_;
  UnreadableRows& unreadable_;
  const PageTokens& tokens_;
};

}  // namespace cmkstore::service
