#pragma once

#include <vector>

#include "cmkstore/config/v1/config.pb.h"
#include "service/config/config_reader.h"

namespace cmkstore::service {

// Of the files and directories that a configuration names, those that this process could not use:
// logins to vaults, key sets, CAs, data and backups, and a server certificate that is not valid
// now. Whether it and its key are a pair is judged by MakeServerOptions.
std::vector<ConfigProblem> CheckFiles(const config::v1::Config& config);

}  // namespace cmkstore::service
