#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// Stored text as a terminal may see it: control characters (C0, DEL, C1), bidirectional overrides,
// line and paragraph separators and bytes that are no UTF-8 become \xNN or \u{N}, so that what one
// user stored cannot drive another's terminal.
std::string Printable(absl::string_view text);
// The same, but line feeds and tabs stay: for content of several lines.
std::string PrintableLines(absl::string_view text);

// Columns that printable text takes on a terminal.
size_t ColumnsOf(absl::string_view printable);

}  // namespace cmkstore::cli
