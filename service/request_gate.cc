#include "service/request_gate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMaxCallTime = absl::Seconds(30);

}  // namespace

absl::StatusOr<AdmittedCall> RequestGate::Admit(const CallInfo& info, Permission permission,
                                                const absl::StatusOr<ResourceScope>& scope) {
  CMK_ASSIGN_OR_RETURN(CallerPtr caller, authenticator_.Authenticate(info.authorization));
  if (!scope.ok()) return scope.status();
  CMK_RETURN_IF_ERROR(Authorize(*caller, permission, *scope));
  AdmittedCall call;
  call.caller_ = std::move(caller);
  call.deadline_ = std::min(info.deadline, clock_.WallNow() + kMaxCallTime);
  std::array<uint8_t, 8> id;
  random_.Fill(id);
  call.request_id_ = absl::BytesToHexString({reinterpret_cast<const char*>(id.data()), id.size()});
  call.peer_ = info.peer;
  return call;
}

}  // namespace cmkstore::service
