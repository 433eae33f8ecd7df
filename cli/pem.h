#pragma once

#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// Whether `text` holds a whole PEM block (RFC 7468) whose label ends with `label`, such as
// "CERTIFICATE" or "PRIVATE KEY", and whose content is DER by its first byte. So much is looked at
// that a file of another kind is refused by name, before TLS fails without one.
bool HoldsPem(absl::string_view text, absl::string_view label);

}  // namespace cmkstore::cli
