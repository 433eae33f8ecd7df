#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace cmkstore::cli {

// Exit codes by class of error; part of the interface (docs/cli.md).
enum ExitCode {
  kOk = 0,
  kUnexpected = 1,
  kUsage = 2,
  kNotFound = 3,
  kDenied = 4,
  kConflict = 5,
  kKeyRefused = 6,
  kUnavailable = 7,
  kCorrupt = 8,
  kInvalidInput = 9,
};

// How errors are written: a sentence for people, or one JSON object for programs.
enum class ErrorStyle { kText, kJson };

// The server's stable reason ("ETAG_MISMATCH"), from the status's google.rpc details.
std::string ReasonOf(const grpc::Status& status);
// How long the server asks to wait before a repeat; zero when it names no time.
absl::Duration RetryAfterOf(const grpc::Status& status);
// What is wrong with which part of a request, or with what it needs: subject and description.
std::vector<std::pair<std::string, std::string>> ViolationsOf(const grpc::Status& status);
ExitCode ExitCodeOf(const grpc::Status& status);
// Says on standard error what failed, why and what to do; gives the exit code.
ExitCode Report(const grpc::Status& status, ErrorStyle style);
// The same for what was refused before any call, such as a name of the wrong form: kUsage.
ExitCode ReportUsage(const absl::Status& status, ErrorStyle style);
// The same for input that the server would refuse with FIELD_INVALID: kInvalidInput.
ExitCode ReportInput(const absl::Status& status, ErrorStyle style);

}  // namespace cmkstore::cli
