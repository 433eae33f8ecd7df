#include "service/request_gate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMaxCallTime = absl::Seconds(30);

// A hub's network rules are for its content; else whoever mistyped them could not mend them.
bool IsForContent(Permission permission) {
  return permission == Permission::kReadDocuments || permission == Permission::kWriteDocuments;
}

}  // namespace

std::string RequestGate::NewRequestId() {
  std::array<uint8_t, 8> id;
  random_.Fill(id);
  return absl::BytesToHexString({reinterpret_cast<const char*>(id.data()), id.size()});
}

absl::StatusOr<AdmittedCall> RequestGate::Admit(const CallInfo& info, Permission permission,
                                                const absl::StatusOr<ResourceScope>& scope) {
  CMK_ASSIGN_OR_RETURN(CallerPtr caller, authenticator_.Authenticate(info.authorization));
  if (!scope.ok()) return scope.status();
  // Only for whoever belongs to the tenant: to others the answer must not tell that the hub exists.
  if (caller->tenant == scope->tenant.value() && IsForContent(permission)) {
    CMK_RETURN_IF_ERROR(network_.Check(*scope, info.peer));
  }
  CMK_RETURN_IF_ERROR(Authorize(*caller, permission, *scope));
  AdmittedCall call;
  call.caller_ = std::move(caller);
  call.deadline_ = std::min(info.deadline, clock_.WallNow() + kMaxCallTime);
  call.request_id_ = info.request_id;
  call.peer_ = info.peer;
  return call;
}

}  // namespace cmkstore::service
