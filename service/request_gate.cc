#include "service/request_gate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMaxCallTime = absl::Seconds(30);
// Odd, so that all 2^64 numbers come before one comes again; far apart, so that they look apart.
constexpr uint64_t kRequestStep = 0x9E3779B97F4A7C15;

// A hub's network rules are for its content; else whoever mistyped them could not mend them.
bool IsForContent(Permission permission) {
  return permission == Permission::kReadDocuments || permission == Permission::kWriteDocuments;
}

}  // namespace

RequestGate::RequestGate(Authenticator& authenticator, RequestQuota& quota, NetworkPolicy& network,
                         Clock& clock, crypto::Random& random)
    : authenticator_(authenticator), quota_(quota), network_(network), clock_(clock) {
  std::array<uint8_t, 8> first;
  random.Fill(first);
  uint64_t number = 0;
  for (const uint8_t byte : first) number = number << 8 | byte;
  next_request_.store(number);
}

std::string RequestGate::NewRequestId() {
  const uint64_t number = next_request_.fetch_add(kRequestStep, std::memory_order_relaxed);
  return absl::StrCat(absl::Hex(number, absl::kZeroPad16));
}

absl::StatusOr<CallerPtr> RequestGate::Identify(const CallInfo& info) {
  CMK_ASSIGN_OR_RETURN(CallerPtr caller, authenticator_.Authenticate(info.authorization));
  // The token's tenant and not the name's: nobody spends another's calls.
  CMK_RETURN_IF_ERROR(quota_.Take(caller->tenant));
  return caller;
}

absl::StatusOr<AdmittedCall> RequestGate::Admit(CallerPtr caller, const CallInfo& info,
                                                Permission permission,
                                                const absl::StatusOr<ResourceScope>& scope) {
  if (!scope.ok()) return scope.status();
  CMK_RETURN_IF_ERROR(CheckCaller(*caller, info, permission, *scope));
  AdmittedCall call;
  call.caller_ = std::move(caller);
  call.deadline_ = std::min(info.deadline, clock_.WallNow() + kMaxCallTime);
  call.request_id_ = info.request_id;
  call.peer_ = info.peer;
  return call;
}

absl::Status RequestGate::AdmitAgain(const CallInfo& info, Permission permission,
                                     const ResourceScope& scope) {
  CMK_ASSIGN_OR_RETURN(const CallerPtr caller, authenticator_.Authenticate(info.authorization));
  return CheckCaller(*caller, info, permission, scope);
}

absl::Status RequestGate::CheckCaller(const Caller& caller, const CallInfo& info,
                                      Permission permission, const ResourceScope& scope) {
  // Only for whoever belongs to the tenant: to others the answer must not tell that the hub exists.
  if (caller.tenant == scope.tenant.value() && IsForContent(permission)) {
    CMK_RETURN_IF_ERROR(network_.Check(scope, info.peer));
  }
  return Authorize(caller, permission, scope);
}

}  // namespace cmkstore::service
