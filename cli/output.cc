#include "cli/output.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace cmkstore::cli {
namespace {

// A later flush succeeds, with what could not be written left out.
int first_output_error = 0;

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  constexpr char kTypes[] = "type.googleapis.com";
  static auto& types = *google::protobuf::util::NewTypeResolverForDescriptorPool(
      kTypes, google::protobuf::DescriptorPool::generated_pool());
  // Maps in the order of their keys: the same message is the same text each time.
  std::string binary, text;
  {
    google::protobuf::io::StringOutputStream bytes(&binary);
    google::protobuf::io::CodedOutputStream out(&bytes);
    out.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&out);
  }
  (void)google::protobuf::util::BinaryToJsonString(
      &types, absl::StrCat(kTypes, "/", message.GetDescriptor()->full_name()), binary, &text);
  return text;
}

void PrintJson(const google::protobuf::Message& message) { PrintLine(ToJson(message)); }

void PrintLine(absl::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

bool FlushOutput() {
  if (std::fflush(stdout) != 0 && first_output_error == 0) first_output_error = errno;
  return std::ferror(stdout) == 0;
}

absl::Status CheckOutput() {
  if (FlushOutput()) return absl::OkStatus();
  constexpr absl::string_view kWhat = "cannot write to standard output";
  if (first_output_error == 0) return StateInvalid(kWhat);
  return StateInvalid(absl::StrCat(kWhat, ": ", std::strerror(first_output_error)));
}

bool StdoutIsTerminal() { return isatty(STDOUT_FILENO) != 0; }

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return time.seconds() == 0 ? "" : TimeText(absl::FromUnixSeconds(time.seconds()));
}

std::string DurationText(const google::protobuf::Duration& duration) {
  return absl::FormatDuration(absl::Seconds(duration.seconds()) +
                              absl::Nanoseconds(duration.nanos()));
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return proto;
}

}  // namespace cmkstore::cli
