#include "cli/operation_wait.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "google/longrunning/operations.grpc.pb.h"

namespace cmkstore::cli {
namespace {

using google::longrunning::Operation;

constexpr absl::Duration kPoll = absl::Seconds(10);
constexpr absl::Duration kPollOnTerminal = absl::Seconds(1);  // somebody watches the bar
// The server answers a wait before its call's deadline.
constexpr absl::Duration kMargin = absl::Seconds(10);
constexpr absl::Duration kReconnectAfter = absl::Seconds(1);

void ShowProgress(const Operation& operation) {
  v1::OperationMetadata metadata;
  if (isatty(STDERR_FILENO) == 0 || !operation.metadata().UnpackTo(&metadata)) return;
  if (metadata.total() == 0 && metadata.done() == 0) return;
  std::fprintf(stderr, "\r\033[K%s %s", Printable(metadata.kind()).c_str(),
               metadata.total() == 0 ? ProgressText(metadata).c_str()
                                     : ShareLine(metadata.done(), metadata.total()).c_str());
  if (operation.done()) std::fputc('\n', stderr);
}

// Waits outlast servers and tokens. A token that was read anew and is refused too stays refused.
bool MayPass(const grpc::Status& status, const grpc::Status& before) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         (status.error_code() == grpc::StatusCode::UNAUTHENTICATED &&
          before.error_code() != grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace

std::string StateText(const Operation& operation) {
  if (!operation.done()) return "running";
  return operation.has_error() ? "failed" : "done";
}

std::string ProgressText(const v1::OperationMetadata& metadata) {
  if (metadata.total() != 0) return absl::StrCat(metadata.done(), " of ", metadata.total());
  return metadata.done() == 0 ? "" : absl::StrCat(metadata.done(), " so far");
}

void ShowOperation(const Invocation& invocation, const Operation& operation) {
  if (invocation.json) return PrintJson(operation);
  v1::OperationMetadata metadata;
  operation.metadata().UnpackTo(&metadata);
  Table table;
  table.Add({"operation", ShortName(operation.name())});
  table.Add({"kind", metadata.kind()});
  table.Add({"state", StateText(operation)});
  if (operation.has_error()) table.Add({"error", operation.error().message()});
  if (metadata.cancel_requested()) table.Add({"cancel", "requested"});
  if (const std::string progress = ProgressText(metadata); !progress.empty()) {
    table.Add({"progress", progress});
  }
  table.Add({"started", TimeText(metadata.create_time())});
  table.Add({"last progress", TimeText(metadata.update_time())});
}

grpc::Status ErrorOf(const Operation& operation) {
  if (!operation.has_error()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(operation.error().code()),
                      operation.error().message(), operation.error().SerializeAsString());
}

int WaitForOperation(const Invocation& invocation, const Connection& first, Operation& operation) {
  Connection connection = first;
  grpc::Status cut;
  const absl::Duration poll = isatty(STDERR_FILENO) != 0 ? kPollOnTerminal : kPoll;
  const absl::Time give_up = absl::Now() + connection.timeout();
  while (!operation.done()) {
    ShowProgress(operation);
    const absl::Duration left = give_up - absl::Now();
    if (left <= absl::ZeroDuration()) {
      const std::string name = ShortName(operation.name());
      return Report(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                                 absl::StrCat("operation ", name, " still runs")),
                    invocation.style());
    }
    google::longrunning::WaitOperationRequest request;
    request.set_name(operation.name());
    *request.mutable_timeout() = ToProto(std::min(left, poll));
    Operation next;
    const auto context = connection.NewCall(poll + kMargin);
    const grpc::Status status = google::longrunning::Operations::NewStub(connection.channel())
                                    ->WaitOperation(context.get(), request, &next);
    if (status.ok()) {
      operation = std::move(next);
    } else {
      if (!MayPass(status, cut)) return Report(status, invocation.style());
      if (cut.ok()) {
        std::fprintf(stderr, "cmkctl: waiting on, for the operation goes on (%s)\n",
                     Printable(status.error_message()).c_str());
      }
      absl::SleepFor(std::min(kReconnectAfter, give_up - absl::Now()));
      // With what then stands in the files of token and certificates.
      absl::StatusOr<Connection> again = Connection::Open(connection.options());
      if (!again.ok()) return ReportUsage(again.status(), invocation.style());
      connection = *std::move(again);
    }
    cut = status;
  }
  ShowProgress(operation);
  if (invocation.json) PrintJson(operation);
  return Report(ErrorOf(operation), invocation.style());
}

}  // namespace cmkstore::cli
