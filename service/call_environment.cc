#include "service/call_environment.h"

#include "absl/time/clock.h"

namespace cmkstore::service {

absl::StatusOr<AdmittedCall> CallEnvironment::Admit(const grpc::ServerContext& context,
                                                    const std::string& request_id,
                                                    Permission permission,
                                                    const absl::StatusOr<ResourceScope>& scope) {
  CallInfo info;
  const auto& metadata = context.client_metadata();
  if (const auto found = metadata.find("authorization"); found != metadata.end()) {
    info.authorization = absl::string_view(found->second.data(), found->second.size());
  }
  info.request_id = request_id;
  info.peer = context.peer();
  info.deadline = absl::FromChrono(context.deadline());
  return gate_.Admit(info, permission, scope);
}

}  // namespace cmkstore::service
