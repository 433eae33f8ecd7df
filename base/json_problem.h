#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore {

// What keeps `text` from being read as JSON of at most `max_depth` arrays and objects within each
// other, as the rest of a sentence: "is not well-formed JSON at byte 7", or that a number is out of
// range or the text nested too deep. Empty if nothing does. Has nothing of the text itself.
std::string JsonProblem(absl::string_view text, int max_depth);

}  // namespace cmkstore
