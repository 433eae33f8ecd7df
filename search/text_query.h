#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sqlite.h"

namespace cmkstore::search {

// Turns what a person types into an FTS5 expression that always parses.
//
//   words are joined by AND · "a phrase" · prefix* · a AND b · a OR b · a NOT b · ( … )
//
// NOT binds closer than AND, and AND closer than OR. Anything that is no operator is a word,
// punctuation included; one of punctuation alone is left out, since no document has it in the
// index. At most 1 KiB, 64 words (those of phrases too), 10 parentheses deep.
//
// Errors: FIELD_INVALID ("query"), saying what is wrong at which byte; also if no word is left.
absl::StatusOr<std::string> ToFtsExpression(Sqlite& db, absl::string_view text);

}  // namespace cmkstore::search
