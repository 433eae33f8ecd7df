#pragma once

#include "absl/strings/string_view.h"

namespace cmkstore {

// The commit that this was built from, as `git rev-parse --short` has it, or "unknown"; and
// CMake's build type. In a source file of their own, so that a new commit builds no other anew.
absl::string_view BuildRevision();
absl::string_view BuildType();

}  // namespace cmkstore
