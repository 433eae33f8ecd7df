#pragma once

#include "service/encryption_coverage.h"
#include "service/manage_hubs.h"
#include "service/manage_keys.h"
#include "service/manage_projects.h"
#include "service/read_documents.h"
#include "service/rpc_server.h"
#include "service/search_documents.h"
#include "service/usage_report.h"
#include "service/vault_usage.h"
#include "service/watch_documents.h"
#include "service/write_documents.h"

namespace cmkstore::service {

// Every RPC of a tenant in one table (those of the server: admin_methods.h): which permission it
// needs, on which resource, and which handler answers it.
void AddMethods(RpcServer& server, ManageHubs& hubs, ManageProjects& projects, ManageKeys& keys,
                ReadDocuments& reads, WriteDocuments& writes, WatchDocuments& watches,
                SearchDocuments& searches, VaultUsageReport& usage,
                EncryptionCoverageReport& coverage, UsageReport& hub_usage);

}  // namespace cmkstore::service
