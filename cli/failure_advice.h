#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// What a person can do about an error, as a sentence with commands; empty if the message says it
// all.
std::string AdviceFor(const grpc::Status& status, absl::string_view reason);
// The same for a tenant's quota, by its name: "documents".
std::string AdviceForQuota(absl::string_view quota);

// Whether gRPC has turned the request away for its size, before the server could name a field.
bool IsRequestTooLarge(const grpc::Status& status, absl::string_view reason);

}  // namespace cmkstore::cli
