#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// Turns a filter into an SQL condition on the row `d` of docs. The grammar is AIP-160's, over the
// fields of fields.h:
//
//   labels.team = "red" AND (collection = flows OR collection = evaluations) AND NOT document =
//   draft* update_time > "2026-01-31T00:00:00Z" AND content.metrics.accuracy >= 0.9 labels.team:*
//   the field is there           content.tags:"prod"   an array has it, or a text contains it
//
// As in AIP-160, OR binds closer than AND, terms beside each other are joined by AND, and `-` is
// NOT. A `*` at the begin or end of an unquoted or quoted text stands for anything (`=` and `!=`
// only). A comparison with a field that the document does not have is false. At most 2 KiB, 32
// comparisons, 16 parentheses deep.
//
// `by_label_index`: whether labels are looked up by their index (no other condition drives the
// query). Errors: FIELD_INVALID ("filter"), saying what is wrong at which byte.
absl::StatusOr<Sql> ToSqlCondition(absl::string_view filter, bool by_label_index);

}  // namespace cmkstore::search
