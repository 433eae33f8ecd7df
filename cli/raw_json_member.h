#pragma once

#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// The text of the member `name` of a JSON object as it stands there, digits and spaces included;
// empty if it has none. `object` must be well-formed.
absl::string_view RawJsonMember(absl::string_view object, absl::string_view name);

}  // namespace cmkstore::cli
