#pragma once

#include <string>

#include "service/manage_backups.h"
#include "service/operations.h"
#include "service/request_gate.h"
#include "service/rpc_server.h"

namespace cmkstore::service {

// The server itself, for the operators of `operator_tenant`. Errors: ACCESS_DENIED when nobody is.
absl::StatusOr<ResourceScope> ServerScope(const std::string& operator_tenant);

// The methods that concern the server rather than a tenant: AdminService.
void AddAdminMethods(RpcServer& server, ManageBackups& backups, const std::string& operator_tenant);

// google.longrunning.Operations, of hubs and of the server.
void AddOperationMethods(RpcServer& server, Operations& operations,
                         const std::string& operator_tenant);

}  // namespace cmkstore::service
