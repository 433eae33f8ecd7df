#include "service/authorizer.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace cmkstore::service {
namespace {

struct Grant {
  absl::string_view role;
  Permission permission;
};

constexpr Grant kGrants[] = {
    {"cmkstore.reader", Permission::kReadDocuments},
    {"cmkstore.reader", Permission::kReadHubs},
    {"cmkstore.contributor", Permission::kReadDocuments},
    {"cmkstore.contributor", Permission::kReadHubs},
    {"cmkstore.contributor", Permission::kWriteDocuments},
    {"cmkstore.contributor", Permission::kManageProjects},
    {"cmkstore.key_admin", Permission::kReadHubs},
    {"cmkstore.key_admin", Permission::kManageKeys},
    {"cmkstore.key_admin", Permission::kRunOperations},
    {"cmkstore.auditor", Permission::kReadHubs},
    {"cmkstore.operator", Permission::kReadHubs},
    {"cmkstore.operator", Permission::kRunOperations},
    {"cmkstore.operator", Permission::kOperateServer},
    {"cmkstore.owner", Permission::kReadDocuments},
    {"cmkstore.owner", Permission::kReadHubs},
    {"cmkstore.owner", Permission::kWriteDocuments},
    {"cmkstore.owner", Permission::kManageProjects},
    {"cmkstore.owner", Permission::kManageHubs},
    {"cmkstore.owner", Permission::kManageKeys},
    {"cmkstore.owner", Permission::kRunOperations},
};

// Whether a role's part, "hubs/HUB" or "hubs/HUB/projects/P", holds the scope. An empty part holds
// the tenant.
bool Holds(absl::string_view part, const ResourceScope& scope) {
  if (part.empty()) return true;
  if (!scope.hub.has_value() || !absl::ConsumePrefix(&part, "hubs/")) return false;
  if (part == scope.hub->value()) return true;
  return scope.project.has_value() &&
         part == absl::StrCat(scope.hub->value(), "/projects/", scope.project->value());
}

}  // namespace

absl::Status Authorize(const Caller& caller, Permission permission, const ResourceScope& scope) {
  if (caller.tenant != scope.tenant.value()) return AccessDenied();
  if (scope.server) permission = Permission::kOperateServer;
  for (const std::string& held : caller.roles) {
    const absl::string_view role = absl::string_view(held).substr(0, held.find(':'));
    const absl::string_view part =
        role.size() == held.size() ? "" : absl::string_view(held).substr(role.size() + 1);
    if (role.size() != held.size() && part.empty()) continue;
    for (const Grant& grant : kGrants) {
      if (grant.role == role && grant.permission == permission && Holds(part, scope)) {
        return absl::OkStatus();
      }
    }
  }
  return AccessDenied();
}

}  // namespace cmkstore::service
