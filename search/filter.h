#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// Turns a filter into an SQL condition on the row `d` of docs, to be joined to others by AND. The
// grammar is AIP-160's, over the fields of fields.h:
//
//   labels.team = "red" AND (collection = flows OR collection = evaluations)
//   NOT document = draft*         update_time > "2026-01-31T00:00:00Z"
//   content.metrics.accuracy >= 0.9
//   labels.team:*                 the field is there
//   content.tags:"prod"           an array has it, or a text contains it
//
// As in AIP-160, OR binds closer than AND, terms beside each other are joined by AND, and `-` is
// NOT. A `*` at the begin or end of a text stands for anything (`=` and `!=` only). A comparison
// with a field that the document does not have, or has with a value of another type, is false. At
// most 2 KiB, 32 comparisons, 10 parentheses and NOTs deep.
//
// `by_label_index`: whether labels are looked up by their index (no other condition drives the
// query). Errors: FIELD_INVALID ("filter"), saying what is wrong at which byte.
absl::StatusOr<Sql> ToSqlCondition(absl::string_view filter, bool by_label_index);

}  // namespace cmkstore::search
