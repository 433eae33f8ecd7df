#pragma once

#include <grpcpp/support/status.h>

#include "cli/connection.h"

namespace cmkstore::cli {

// Follows the pages of a List method and calls `each` with every answer, until there are no more or
// one fails.
template <typename Stub, typename Request, typename Response, typename Each>
grpc::Status ForEachPage(const Connection& connection, Stub& stub,
                         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                      Response*),
                         Request request, const Each& each) {
  for (;;) {
    Response page;
    const grpc::Status status = (stub.*method)(connection.NewCall().get(), request, &page);
    if (!status.ok()) return status;
    each(page);
    if (page.next_page_token().empty()) return status;
    request.set_page_token(page.next_page_token());
  }
}

}  // namespace cmkstore::cli
