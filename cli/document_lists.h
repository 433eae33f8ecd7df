#pragma once

#include <grpcpp/support/status.h>

#include <functional>
#include <string>

#include "cli/connection.h"
#include "cmkstore/v1/document_service.pb.h"

namespace cmkstore::cli {

// Calls `each` with every document below `parent`, the full name of a hub, a project or a
// collection: of a hub, project by project. Not a snapshot: a document that changes meanwhile is
// seen as it is when its page is read.
grpc::Status ForEachDocument(const Connection& connection, const std::string& parent,
                             v1::DocumentView view,
                             const std::function<void(const v1::Document&)>& each);

}  // namespace cmkstore::cli
