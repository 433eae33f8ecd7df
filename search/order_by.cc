#include "search/order_by.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/fields.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxFields = 4;

}  // namespace

absl::StatusOr<Sql> ToSqlOrder(absl::string_view order_by) {
  Sql order;
  const std::vector<absl::string_view> parts = absl::StrSplit(order_by, ',');
  if (parts.size() > kMaxFields) return FieldInvalid("order_by", "must be at most 4 fields");
  for (absl::string_view part : parts) {
    part = absl::StripAsciiWhitespace(part);
    const bool descending = absl::ConsumeSuffix(&part, " desc");
    if (!descending) absl::ConsumeSuffix(&part, " asc");
    CMK_ASSIGN_OR_RETURN(const Field field,
                         ParseField(absl::StripAsciiWhitespace(part), "order_by"));
    if (!order.text.empty()) order.text += ", ";
    order.Append(ValueOf(field));
    absl::StrAppend(&order.text, descending ? " DESC" : " ASC", " NULLS LAST");
  }
  return order;
}

}  // namespace cmkstore::search
