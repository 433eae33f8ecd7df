#include "cli/batch_sender.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cli/failure.h"
#include "cmkstore/v1/project_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
// As long as the channel waits before it connects again, at most (Connection).
constexpr absl::Duration kLongestPause = absl::Seconds(1);

bool MayPass(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED: return true;
    // Calls a second, and not what may be stored.
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return RetryAfterOf(status) > absl::ZeroDuration();
    default: return false;
  }
}

}  // namespace

std::optional<size_t> WriteOf(const grpc::Status& status) {
  for (const auto& [field, description] : ViolationsOf(status)) {
    absl::string_view place = field;
    size_t index = 0;
    if (absl::ConsumePrefix(&place, "writes[") &&
        absl::SimpleAtoi(place.substr(0, place.find(']')), &index)) {
      return index;
    }
  }
  return std::nullopt;
}

bool IsUsedRequestId(const grpc::Status& status) {
  const auto violations = ViolationsOf(status);
  return violations.size() == 1 && violations[0].first == "request_id";
}

std::string RefusalText(const grpc::Status& status) {
  std::string text;
  for (const auto& [field, description] : ViolationsOf(status)) {
    // writes[3].upsert.content
    absl::string_view member = field;
    member.remove_prefix(std::min(member.find(']') + 1, member.size()));
    absl::ConsumePrefix(&member, ".upsert");
    absl::ConsumePrefix(&member, ".");
    absl::StrAppend(&text, text.empty() ? "" : "; ", member, member.empty() ? "" : ": ",
                    description);
  }
  return text;
}

BatchSender::BatchSender(const Connection& connection, bool create_projects,
                         std::function<void(const grpc::Status&)> waits)
    : connection_(connection),
      create_projects_(create_projects),
      waits_(std::move(waits)),
      documents_(v1::DocumentService::NewStub(connection.channel())) {}

grpc::Status BatchSender::Outlast(absl::FunctionRef<grpc::Status()> call) {
  const absl::Time give_up = absl::Now() + kPatience;
  absl::Duration pause = kFirstPause;
  std::string told;
  for (;;) {
    const grpc::Status status = call();
    if (!MayPass(status) || absl::Now() + pause > give_up) return status;
    // By class: the words of a connection that fails may change from try to try.
    const std::string reason = ReasonOf(status), cause = absl::StrCat(status.error_code(), reason);
    if (reason != "QUOTA_EXCEEDED" && cause != told) {
      told = cause;
      waits_(status);
    }
    absl::SleepFor(std::max(pause, RetryAfterOf(status)));
    pause = std::min(pause * 2, kLongestPause);
  }
}

grpc::Status BatchSender::Send(const v1::BatchWriteDocumentsRequest& batch) {
  return Outlast([&] {
    v1::BatchWriteDocumentsResponse response;
    const grpc::Status status =
        documents_->BatchWriteDocuments(connection_.NewCall().get(), batch, &response);
    in_doubt_ |= status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                 status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    return status;
  });
}

grpc::Status BatchSender::EnsureProject(const std::string& hub, const std::string& project) {
  if (!create_projects_ || ensured_.contains(project)) return grpc::Status::OK;
  v1::CreateProjectRequest request;
  request.set_parent(hub);
  request.set_project_id(project);
  const auto stub = v1::ProjectService::NewStub(connection_.channel());
  const grpc::Status status = Outlast([&] {
    v1::Project created;
    return stub->CreateProject(connection_.NewCall().get(), request, &created);
  });
  // Also of a call that was made twice because its answer was lost.
  if (!status.ok() && status.error_code() != grpc::StatusCode::ALREADY_EXISTS) return status;
  ensured_.insert(project);
  return grpc::Status::OK;
}

}  // namespace cmkstore::cli
