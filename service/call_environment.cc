#include "service/call_environment.h"

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/awaiters.h"

namespace cmkstore::service {

absl::StatusOr<CallInfo> CallEnvironment::InfoOf(const grpc::ServerContext& context) {
  CallInfo info;
  const auto& metadata = context.client_metadata();
  if (metadata.count("authorization") > 1) {
    return TokenInvalid("the authorization metadata must be there once");
  }
  if (const auto found = metadata.find("authorization"); found != metadata.end()) {
    info.authorization = absl::string_view(found->second.data(), found->second.size());
  }
  info.peer = context.peer();
  info.deadline = absl::FromChrono(context.deadline());
  return info;
}

absl::Status CallEnvironment::AdmitAgain(const grpc::ServerContext& context, Permission permission,
                                         const ResourceScope& scope) {
  CMK_ASSIGN_OR_RETURN(const CallInfo info, InfoOf(context));
  return gate_.AdmitAgain(info, permission, scope);
}

absl::Duration CallEnvironment::Pulse(absl::Time now) {
  if (asked_.load(std::memory_order_acquire)) return now - asked_at_;
  asked_at_ = now;
  // Counted as a call, so that the queue outlives the answer.
  CallBegan();
  if (draining()) {
    CallEnded();
  } else {
    asked_.store(true, std::memory_order_release);
    Answer();
  }
  return absl::ZeroDuration();
}

Detached CallEnvironment::Answer() {
  co_await Requeued(executor_);
  asked_.store(false, std::memory_order_release);
  CallEnded();
}

}  // namespace cmkstore::service
