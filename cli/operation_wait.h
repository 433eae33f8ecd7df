#pragma once

#include <functional>
#include <string>

#include "cli/invocation.h"
#include "cmkstore/v1/key_service.pb.h"
#include "google/longrunning/operations.pb.h"

namespace cmkstore::cli {

// "running", "failed" or "done".
std::string StateText(const google::longrunning::Operation& operation);
// "3 of 10"; empty while nobody knows of how many.
std::string ProgressText(const v1::OperationMetadata& metadata);
// Prints an operation: fields for people, a line of JSON for programs.
void ShowOperation(const Invocation& invocation, const google::longrunning::Operation& operation);
// An operation's error in the words of a call's error.
grpc::Status ErrorOf(const google::longrunning::Operation& operation);
// Waits until `operation`, of which the server has told, is done or --timeout has passed, with its
// progress on a terminal and through restarts of the server and ends of tokens, whose file is read
// again; leaves its last state in it. Prints it as --json, reports how it failed; gives the exit
// code.
int WaitForOperation(const Invocation& invocation, const Connection& connection,
                     google::longrunning::Operation& operation);

enum class Waits { kNo, kYes };

// Ends a command whose call, as `started` says, has begun `operation`. Without waiting it shows the
// operation; else it waits and gives the result to `show`, which gives the exit code. With --json
// the operation has been printed by then.
template <typename Result>
int FinishOperation(const Invocation& invocation, const Connection& connection, Waits waits,
                    const grpc::Status& started, google::longrunning::Operation& operation,
                    const std::function<int(const Result&)>& show) {
  if (!started.ok()) return Report(started, invocation.style());
  if (waits == Waits::kNo) {
    ShowOperation(invocation, operation);
    return kOk;
  }
  const int ended = WaitForOperation(invocation, connection, operation);
  if (ended != kOk) return ended;
  Result result;
  if (!operation.response().UnpackTo(&result)) return kUnexpected;
  return show(result);
}

}  // namespace cmkstore::cli
