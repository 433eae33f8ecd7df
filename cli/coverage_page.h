#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "cmkstore/v1/encryption_coverage.pb.h"

namespace cmkstore::cli {

// The report as one HTML page to print, sign and file: nothing is loaded from elsewhere, nothing
// runs, and nothing that a hub's owner typed becomes markup.
std::string CoveragePage(const v1::EncryptionCoverage& coverage);

// Text as it may stand in HTML, in an attribute too; control characters and such that turn text
// around are shown, not obeyed.
std::string EscapedForHtml(absl::string_view text);

}  // namespace cmkstore::cli
