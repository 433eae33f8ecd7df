#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// Turns an order such as `labels.team, content.metrics.accuracy desc` (AIP-132, fields of fields.h)
// into SQL's ORDER BY list on the row `d` of docs. At most 4 fields in 2 KiB. Of a text, array or
// object of content the first 256 characters count. Documents without the field come last.
//
// Errors: FIELD_INVALID ("order_by").
absl::StatusOr<Sql> ToSqlOrder(absl::string_view order_by);

}  // namespace cmkstore::search
