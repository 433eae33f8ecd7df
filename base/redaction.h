#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore {

// The text without what looks like a credential: bearer tokens, JSON web tokens and PEM blocks
// become
// "[redacted]". A second line of defence: no caller should log any. Pure.
std::string RedactSecrets(absl::string_view text);

}  // namespace cmkstore
