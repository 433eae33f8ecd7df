#pragma once

#include <google/protobuf/map.h>

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::service {

// The bounds of every input, and their checks. Each gives FIELD_INVALID naming `field` and the
// limit.
inline constexpr size_t kMaxLabels = 64;
inline constexpr size_t kMaxLabelKeyBytes = 63;
inline constexpr size_t kMaxLabelValueBytes = 256;
inline constexpr size_t kMaxContentBytes = 1u << 20;
inline constexpr size_t kMaxContentTypeBytes = 127;
inline constexpr size_t kMaxDisplayNameBytes = 256;
inline constexpr int kMaxBatchItems = 500;
inline constexpr size_t kMaxBatchBytes = 8u << 20;
inline constexpr int kDefaultPageSize = 50;
inline constexpr int kMaxPageSize = 1000;
// A page is cut before it exceeds this: with one document more it still fits into the 4 MiB that
// gRPC clients take by default.
inline constexpr size_t kMaxPageBytes = 2u << 20;

absl::Status CheckContent(absl::string_view field, absl::string_view content);
absl::Status CheckContentType(absl::string_view field, absl::string_view content_type);
absl::Status CheckLabels(absl::string_view field,
                         const google::protobuf::Map<std::string, std::string>& labels);
absl::Status CheckDisplayName(absl::string_view field, absl::string_view name);
absl::Status CheckRequestId(absl::string_view request_id);
// Well-formed JSON, nested at most 128 deep.
absl::Status CheckJson(absl::string_view field, absl::string_view text);
// The page size to use: the default for 0. Errors: below 0 or above 1,000.
absl::StatusOr<size_t> PageSize(int wanted);

}  // namespace cmkstore::service
