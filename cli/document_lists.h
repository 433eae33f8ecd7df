#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "cli/connection.h"
#include "cmkstore/v1/document_service.pb.h"

namespace cmkstore::cli {

// Documents that are there and do not open: how many, by reason. Of STORE_CORRUPT the damaged
// places, each with any number of documents.
using Unreadable = std::map<std::string, uint64_t>;

// Calls `each` with every document below `parent`, the full name of a hub, a project or a
// collection: of a hub, project by project. Those that do not open are left out, and counted into
// `unreadable`. Not a snapshot: a document that changes meanwhile is seen as it is when its page is
// read.
grpc::Status ForEachDocument(const Connection& connection, const std::string& parent,
                             v1::DocumentView view,
                             const std::function<void(const v1::Document&)>& each,
                             Unreadable& unreadable);

// OK if there were none; else DATA_LOSS, for the end of what went on without them.
grpc::Status LeftOut(const Unreadable& unreadable);

}  // namespace cmkstore::cli
