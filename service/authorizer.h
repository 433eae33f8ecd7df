#pragma once

#include <optional>

#include "absl/status/status.h"
#include "base/ids.h"
#include "service/caller.h"

namespace cmkstore::service {

enum class Permission {
  kReadDocuments,
  kWriteDocuments,
  kReadHubs,  // hubs, projects, key status, index status, operations
  kManageProjects,
  kManageHubs,
  kManageKeys,
  kRunOperations,  // rebuild an index, cancel and forget operations
  kOperateServer,  // what concerns all tenants: backups, restores, checks of everything
};

// Whether it lets nothing be changed.
inline bool IsRead(Permission permission) {
  return permission == Permission::kReadDocuments || permission == Permission::kReadHubs;
}

// What a request is about: a tenant, perhaps narrowed to a hub and a project; or the server itself.
struct ResourceScope {
  TenantId tenant;
  std::optional<HubId> hub;
  std::optional<ProjectId> project;
  // The server: `tenant` is that of its operators, and nothing less than kOperateServer will do.
  bool server = false;
};

// Whether the caller's roles grant the permission on the scope. Roles (docs/authentication.md):
// cmkstore.reader, contributor, key_admin, auditor, operator and owner; for the whole tenant, or
// with `:hubs/HUB` or `:hubs/HUB/projects/P` behind for a part. Deny by default. Pure.
//
// A tenant's administrators give roles in their own tenant, cmkstore.operator among them: for the
// server only the operators' tenant counts.
//
// Errors: ACCESS_DENIED, also for another tenant and for what does not exist.
absl::Status Authorize(const Caller& caller, Permission permission, const ResourceScope& scope);

}  // namespace cmkstore::service
