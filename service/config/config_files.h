#pragma once

#include <vector>

#include "cmkstore/config/v1/config.pb.h"
#include "service/config/config_reader.h"

namespace cmkstore::service {

// Of the files and directories that a configuration names, those that this process could not use:
// logins to vaults, CAs, data and backups. Reads none of them; key sets and the certificates of the
// listeners are read and judged by MakeServerOptions.
std::vector<ConfigProblem> CheckFiles(const config::v1::Config& config);

}  // namespace cmkstore::service
