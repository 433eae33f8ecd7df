#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace cmkstore::cli {

// One message as one line of JSON in the API's own JSON mapping, as --json wants it.
std::string ToJson(const google::protobuf::Message& message);
void PrintJson(const google::protobuf::Message& message);
void PrintLine(absl::string_view text);

// Writes out what was printed so far. False if standard output has ever failed to take something.
bool FlushOutput();
// The same as an error that says why; for when all is printed. Errors: STATE_INVALID.
absl::Status CheckOutput();

bool StdoutIsTerminal();

// "2026-11-25T04:04:30Z"; empty for a time that is not set.
std::string TimeText(const google::protobuf::Timestamp& time);
std::string TimeText(absl::Time time);
// "1h30m"
std::string DurationText(const google::protobuf::Duration& duration);

google::protobuf::Duration ToProto(absl::Duration duration);

}  // namespace cmkstore::cli
