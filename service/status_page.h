#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::service {

// A page for people from the JSON object of /statusz: one table for each of its objects, one row
// for each entry of a list, and a size as 1.5 GiB. Everything is escaped. Pure.
std::string StatusPage(absl::string_view status_json);

}  // namespace cmkstore::service
