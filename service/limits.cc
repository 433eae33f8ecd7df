#include "service/limits.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/json_problem.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr int kMaxJsonDepth = 128;

absl::Status AtMost(absl::string_view field, size_t size, size_t limit) {
  if (size <= limit) return absl::OkStatus();
  return FieldInvalid(field, absl::StrCat("must be at most ", limit, " bytes, not ", size));
}

}  // namespace

absl::Status CheckContent(absl::string_view field, absl::string_view content) {
  return AtMost(field, content.size(), kMaxContentBytes);
}

absl::Status CheckContentType(absl::string_view field, absl::string_view content_type) {
  CMK_RETURN_IF_ERROR(AtMost(field, content_type.size(), kMaxContentTypeBytes));
  const bool printable = std::all_of(content_type.begin(), content_type.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c));
  });
  return printable ? absl::OkStatus() : FieldInvalid(field, "must be printable ASCII");
}

absl::Status CheckLabels(absl::string_view field,
                         const google::protobuf::Map<std::string, std::string>& labels) {
  if (labels.size() > kMaxLabels) {
    return FieldInvalid(field, absl::StrCat("must be at most ", kMaxLabels, " labels"));
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > kMaxLabelKeyBytes) {
      return FieldInvalid(field, absl::StrCat("a key must be 1 to ", kMaxLabelKeyBytes, " bytes"));
    }
    if (value.size() > kMaxLabelValueBytes) {
      return FieldInvalid(field,
                          absl::StrCat("a value must be at most ", kMaxLabelValueBytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDisplayName(absl::string_view field, absl::string_view name) {
  return AtMost(field, name.size(), kMaxDisplayNameBytes);
}

absl::Status CheckRequestId(absl::string_view id) {
  bool valid = id.empty() || id.size() == 36;
  for (size_t i = 0; valid && i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    valid = dash ? id[i] == '-' : absl::ascii_isxdigit(static_cast<unsigned char>(id[i]));
  }
  // The nil UUID, RFC 9562, 5.9: what a client sends that has forgotten to make one.
  valid = valid && id != "00000000-0000-0000-0000-000000000000";
  return valid ? absl::OkStatus()
               : FieldInvalid("request_id", "must be a UUID, and not the nil one, or empty");
}

absl::Status CheckJson(absl::string_view field, absl::string_view text) {
  // The parser skips a byte order mark and ends at a zero byte; other readers of the content refuse
  // both (RFC 8259, 8.1).
  if (absl::StartsWith(text, "\xef\xbb\xbf")) {
    return FieldInvalid(field, "content_type says JSON, but this begins with a byte order mark");
  }
  if (absl::StrContains(text, '\0')) {
    return FieldInvalid(field, "content_type says JSON, but this has a zero byte");
  }
  const std::string problem = JsonProblem(text, kMaxJsonDepth);
  if (problem.empty()) return absl::OkStatus();
  return FieldInvalid(field, absl::StrCat("content_type says JSON, but this ", problem));
}

absl::StatusOr<size_t> PageSize(int wanted) {
  if (wanted < 0 || wanted > kMaxPageSize) {
    return FieldInvalid("page_size", absl::StrCat("must be 0 to ", kMaxPageSize));
  }
  return static_cast<size_t>(wanted == 0 ? kDefaultPageSize : wanted);
}

}  // namespace cmkstore::service
