#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/file_lock.h"
#include "service/config/config_reader.h"
#include "service/server.h"

namespace cmkstore::service {

// For a process that is to mint development credentials: to be held before that and while it serves
// by them, so that a second one takes nothing from the clients of the first. Null for another
// configuration. Errors: STATE_INVALID when another process holds it.
absl::StatusOr<std::unique_ptr<FileLock>> LockDevelopment(const config::v1::Config& config);

// From a configuration to what Server::Start takes. Reads the files that it names, and mints
// development credentials if it asks for them.
//
// Errors: CONFIG_INVALID naming option and line; those of MintDevCredentials.
absl::StatusOr<ServerOptions> MakeServerOptions(const LoadedConfig& loaded, Clock& clock);

// The issuers with their key sets, read from their files. Errors: CONFIG_INVALID.
absl::StatusOr<std::vector<IssuerOptions>> ReadIssuers(const LoadedConfig& loaded);

BackupOptions ToBackupOptions(const config::v1::Backup& backup);
QuotaOptions ToQuotaOptions(const config::v1::Quotas& quotas);

// Log lines from here on are of this level.
void ApplyLogLevel(const config::v1::Log& log);

}  // namespace cmkstore::service
