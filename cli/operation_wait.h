#pragma once

#include "cli/invocation.h"
#include "google/longrunning/operations.pb.h"

namespace cmkstore::cli {

// Prints an operation: fields for people, a line of JSON for programs.
void ShowOperation(const Invocation& invocation, const google::longrunning::Operation& operation);
// An operation's error in the words of a call's error.
grpc::Status ErrorOf(const google::longrunning::Operation& operation);
// Waits until `operation` is done or --timeout has passed, with its progress on a terminal; leaves
// its last state in it. Prints it as --json, reports how it failed; gives the exit code.
int WaitForOperation(const Invocation& invocation, const Connection& connection,
                     google::longrunning::Operation& operation);

}  // namespace cmkstore::cli
