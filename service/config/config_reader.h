#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cmkstore/config/v1/config.pb.h"

namespace cmkstore::service {

// Something wrong with one option, and what to write instead.
struct ConfigProblem {
  std::string path;  // "keys.probe_interval", "issuers[0].jwks_file"
  std::string message;
};

// A configuration with every default filled in, and where its options stand in the file.
struct LoadedConfig {
  std::string file;  // empty: from flags
  std::string text;  // of the file, as it was read
  config::v1::Config config;
  std::map<std::string, std::pair<int, int>> places;  // path -> line, column
};

// Reads YAML into a Config by the settings of its fields: an unknown option, a value without its
// unit, a value out of bounds or of the wrong shape is refused, all of them at once.
//
// Errors: CONFIG_INVALID; the message has one line for each problem, FILE:LINE:COLUMN: first.
absl::StatusOr<LoadedConfig> ReadConfig(const std::string& file, absl::string_view text);

// The configuration of an empty file.
config::v1::Config DefaultConfig();
// Fills in what is not set.
void FillDefaults(config::v1::Config& config);

// CONFIG_INVALID with the problems at their lines, or at the line of the section they belong to.
absl::Status ToStatus(const LoadedConfig& loaded, const std::vector<ConfigProblem>& problems);

}  // namespace cmkstore::service
