#pragma once

#include <string>

#include "service/metrics.h"

namespace cmkstore::service {

// The JSON object of /statusz: build, uptime, state, shards, vaults, their keys and hubs by state,
// caches, indexes, operations and calls in flight. No name of a tenant, hub or vault, nothing of a
// document.
std::string StatusReport(const StatusSources& sources);

}  // namespace cmkstore::service
