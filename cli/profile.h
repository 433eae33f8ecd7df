#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/connection_options.h"

namespace cmkstore::cli {

// Fills what `options` leaves empty from the section [name] of a profile file:
//
//   [contoso]
//   endpoint = cmkstore.contoso.example:7443
//   tenant = 11111111-2222-4333-8444-555555555555
//   ca = ca.pem                    relative to the file's folder; ~/ is the home folder
//   cert = client.pem
//   key = client.key
//   token_file = ~/.config/cmkstore/token
//   timeout = 30s
//
// Lines that are empty or begin with # or ; are comments. Errors: STATE_INVALID naming the file and
// the line, or the profiles that it has.
absl::Status ApplyProfile(absl::string_view text, const std::string& file, const std::string& name,
                          ConnectionOptions& options);

// Reads options.profile_file (default ~/.config/cmkstore/profiles.ini) and applies options.profile.
// Without a profile's name, [default] is applied if there is one. Errors: as above, and
// STATE_INVALID when a file or profile that was asked for does not exist.
absl::Status LoadProfile(ConnectionOptions& options);

}  // namespace cmkstore::cli
