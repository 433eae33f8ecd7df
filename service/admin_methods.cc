#include "service/admin_methods.h"

#include <utility>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "service/resource_name.h"

namespace cmkstore::service {
namespace {

using Scope = absl::StatusOr<ResourceScope>;

// Of an operation, or of whatever has operations: a hub or the server.
Scope OperationScope(const std::string& name, bool of_one, const std::string& operator_tenant) {
  if (name == "server" || absl::StartsWith(name, "server/")) return ServerScope(operator_tenant);
  if (of_one) {
    CMK_ASSIGN_OR_RETURN(OperationName parsed, OperationName::Parse("name", name));
    return ResourceScope{std::move(parsed.hub.tenant), std::move(parsed.hub.hub), std::nullopt};
  }
  CMK_ASSIGN_OR_RETURN(HubName parsed, HubName::Parse("name", name));
  return ResourceScope{std::move(parsed.tenant), std::move(parsed.hub), std::nullopt};
}

template <typename Request>
MethodRule<Request> OperationRule(Permission permission, const std::string& operator_tenant,
                                  bool of_one = true) {
  return {permission, [operator_tenant, of_one](const Request& request) {
            return OperationScope(request.name(), of_one, operator_tenant);
          }};
}

}  // namespace

absl::StatusOr<ResourceScope> ServerScope(const std::string& operator_tenant) {
  absl::StatusOr<TenantId> tenant = TenantId::Parse(operator_tenant);
  if (!tenant.ok()) return AccessDenied();
  return ResourceScope{*std::move(tenant), std::nullopt, std::nullopt, /*server=*/true};
}

void AddAdminMethods(RpcServer& server, ManageBackups& backups,
                     const std::string& operator_tenant) {
  using Service = v1::AdminService::AsyncService;
  Service& service = server.AddService<v1::AdminService>();
  const auto rule = [&operator_tenant]<typename Request>(const Request*) {
    return MethodRule<Request>{Permission::kOperateServer, [operator_tenant](const Request&) {
                                 return ServerScope(operator_tenant);
                               }};
  };
  server.AddBlocking(service, &Service::RequestBackup,
                     rule(static_cast<const v1::BackupRequest*>(nullptr)),
                     [&](const auto& call, const auto& r) { return backups.Backup(call, r); });
  server.AddBlocking(service, &Service::RequestListBackups,
                     rule(static_cast<const v1::ListBackupsRequest*>(nullptr)),
                     [&](const auto& call, const auto& r) { return backups.List(call, r); });
  server.AddBlocking(service, &Service::RequestGetBackup,
                     rule(static_cast<const v1::GetBackupRequest*>(nullptr)),
                     [&](const auto& call, const auto& r) { return backups.Get(call, r); });
  server.AddBlocking(service, &Service::RequestDeleteBackup,
                     rule(static_cast<const v1::DeleteBackupRequest*>(nullptr)),
                     [&](const auto& call, const auto& r) { return backups.Delete(call, r); });
  server.AddBlocking(service, &Service::RequestRestore,
                     rule(static_cast<const v1::RestoreRequest*>(nullptr)),
                     [&](const auto& call, const auto& r) { return backups.Restore(call, r); });
  server.AddBlocking(service, &Service::RequestVerifyIntegrity,
                     rule(static_cast<const v1::VerifyIntegrityRequest*>(nullptr)),
                     [&](const auto& call, const auto& r) { return backups.Verify(call, r); });
}

void AddOperationMethods(RpcServer& server, Operations& operations,
                         const std::string& operator_tenant) {
  using google::longrunning::Operations;
  namespace lro = google::longrunning;
  using Service = Operations::AsyncService;
  Service& service = server.AddService<Operations>();
  const std::string& tenant = operator_tenant;
  server.AddBlocking(service, &Service::RequestGetOperation,
                     OperationRule<lro::GetOperationRequest>(Permission::kReadHubs, tenant),
                     [&](const auto& call, const auto& r) { return operations.Get(call, r); });
  server.AddBlocking(
      service, &Service::RequestListOperations,
      OperationRule<lro::ListOperationsRequest>(Permission::kReadHubs, tenant, /*of_one=*/false),
      [&](const auto& call, const auto& r) { return operations.List(call, r); });
  server.AddBlocking(service, &Service::RequestCancelOperation,
                     OperationRule<lro::CancelOperationRequest>(Permission::kRunOperations, tenant),
                     [&](const auto& call, const auto& r) { return operations.Cancel(call, r); });
  server.AddBlocking(service, &Service::RequestDeleteOperation,
                     OperationRule<lro::DeleteOperationRequest>(Permission::kRunOperations, tenant),
                     [&](const auto& call, const auto& r) { return operations.Delete(call, r); });
  server.AddUnary(service, &Service::RequestWaitOperation,
                  OperationRule<lro::WaitOperationRequest>(Permission::kReadHubs, tenant),
                  [&](const auto& call, const auto& r) { return operations.Wait(call, r); });
}

}  // namespace cmkstore::service
