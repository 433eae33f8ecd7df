#pragma once

#include <string>

namespace cmkstore::service {

// A configuration file with every option: its help, unit, default and bounds as a comment, and its
// default as value. What has no default is a comment too, or an example if production needs one.
// It is itself a valid configuration.
std::string PrintDefaultConfig();

// The same as the page docs/configuration.md.
std::string ConfigReference();

}  // namespace cmkstore::service
