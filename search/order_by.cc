#include "search/order_by.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/fields.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxBytes = 2048;
constexpr size_t kMaxFields = 4;
constexpr int64_t kKeyCharacters = 256;

void SkipSpace(absl::string_view text, size_t& at) {
  while (at < text.size() && absl::ascii_isspace(text[at])) ++at;
}

// What a document is put in order by. All keys of a search are in memory together, and a text of
// content may have a MiB.
Sql KeyOf(const Field& field) {
  if (field.kind != FieldKind::kContent) return ValueOf(field);
  const std::string path = JsonPath(field);
  return {
      "(SELECT CASE WHEN json_type(content, ?) IN ('text', 'array', 'object') "
      "THEN substr(json_extract(content, ?), 1, ?) ELSE json_extract(content, ?) END "
      "FROM texts WHERE id = d.id)",
      {path, path, kKeyCharacters, path}};
}

}  // namespace

absl::StatusOr<Sql> ToSqlOrder(absl::string_view order_by) {
  if (order_by.size() > kMaxBytes) return FieldInvalid("order_by", "must be at most 2048 bytes");
  Sql order;
  size_t at = 0;
  for (size_t fields = 1;; ++fields) {
    if (fields > kMaxFields) return FieldInvalid("order_by", "must be at most 4 fields");
    SkipSpace(order_by, at);
    CMK_ASSIGN_OR_RETURN(const Field field, ScanField(order_by, at, "order_by"));
    const size_t end = std::min(order_by.find(',', at), order_by.size());
    const absl::string_view direction = absl::StripAsciiWhitespace(order_by.substr(at, end - at));
    if (!direction.empty() && direction != "asc" && direction != "desc") {
      return FieldInvalid("order_by", absl::StrCat("a field stands alone or with `asc` or `desc`, "
                                                   "in lower case, at byte ",
                                                   at + 1));
    }
    order.Append(KeyOf(field));
    absl::StrAppend(&order.text, direction == "desc" ? " DESC" : " ASC", " NULLS LAST");
    if (end == order_by.size()) return order;
    order.text += ", ";
    at = end + 1;
  }
}

}  // namespace cmkstore::search
