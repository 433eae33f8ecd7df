#pragma once

#include <string>

#include "absl/status/status.h"

namespace cmkstore {

// Makes a directory that its owner alone may enter (mode 0700), with those above it as they come.
// One that is there is left as it is. Errors: STATE_INVALID, naming the directory and why it cannot
// be made.
absl::Status MakePrivateDirectory(const std::string& path);

}  // namespace cmkstore
