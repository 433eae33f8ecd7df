#pragma once

#include "absl/strings/string_view.h"

namespace cmkstore::vault {

// Letters, digits and dashes in labels with a dot between two. Pure.
bool IsHostName(absl::string_view name);

// Whether `url` is SCHEME and then HOST or HOST:PORT, with nothing behind it but perhaps one slash:
// no user info, path, query, fragment or blank. HOST is a name or an address, IPv6 in brackets.
// `scheme` has its "://". Pure.
bool IsBaseUrl(absl::string_view url, absl::string_view scheme);

}  // namespace cmkstore::vault
