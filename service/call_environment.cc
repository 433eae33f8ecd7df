#include "service/call_environment.h"

#include "absl/time/clock.h"
#include "base/errors.h"
#include "service/awaiters.h"

namespace cmkstore::service {

absl::StatusOr<AdmittedCall> CallEnvironment::Admit(const grpc::ServerContext& context,
                                                    const std::string& request_id,
                                                    Permission permission,
                                                    const absl::StatusOr<ResourceScope>& scope) {
  CallInfo info;
  const auto& metadata = context.client_metadata();
  if (metadata.count("authorization") > 1) {
    return TokenInvalid("the authorization metadata must be there once");
  }
  if (const auto found = metadata.find("authorization"); found != metadata.end()) {
    info.authorization = absl::string_view(found->second.data(), found->second.size());
  }
  info.request_id = request_id;
  info.peer = context.peer();
  info.deadline = absl::FromChrono(context.deadline());
  return gate_.Admit(info, permission, scope);
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
