#pragma once

#include <memory>

#include "cli/invocation.h"

namespace cmkstore::cli {

// The whole grammar. `invocation` must outlive the app.
std::unique_ptr<CLI::App> MakeApp(Invocation& invocation);

// Each adds a group of commands to `app`.
void AddHubCommands(CLI::App& app, Invocation& invocation);
void AddProjectCommands(CLI::App& app, Invocation& invocation);
void AddDocumentCommands(CLI::App& app, Invocation& invocation);
void AddTransferCommands(CLI::App& app, Invocation& invocation);
void AddSearchCommand(CLI::App& app, Invocation& invocation);
void AddIndexCommands(CLI::App& app, Invocation& invocation);
void AddUsageCommands(CLI::App& app, Invocation& invocation);
void AddWatchCommand(CLI::App& app, Invocation& invocation);
void AddKeyCommands(CLI::App& app, Invocation& invocation);
void AddCoverageCommand(CLI::App& app, Invocation& invocation);
// To `key`.
void AddForecastCommand(CLI::App& key, Invocation& invocation);
void AddOperationCommands(CLI::App& app, Invocation& invocation);
void AddBackupCommands(CLI::App& app, Invocation& invocation);
void AddStatusCommand(CLI::App& app, Invocation& invocation);
// Needs all the others to be there.
void AddCompletionCommand(CLI::App& app, Invocation& invocation);

}  // namespace cmkstore::cli
