#pragma once

#include <google/protobuf/message.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "cli/connection.h"

namespace cmkstore::cli {

// Each adds a group of commands to `app`. A command that ran leaves its exit code in `exit_code`. What is passed by
// reference must outlive the parse.
void AddHubCommands(CLI::App& app, ConnectionOptions& options, int& exit_code);
void AddDocumentCommands(CLI::App& app, ConnectionOptions& options, int& exit_code);
void AddKeyCommands(CLI::App& app, ConnectionOptions& options, int& exit_code);

// "h1" or "h1/p1" … as a resource name of the tenant; what begins with "tenants/" is taken as it is.
std::string FullName(const ConnectionOptions& options, const std::string& name);
// Opens the connection and runs `body`; reports what stood in the way.
int WithConnection(const ConnectionOptions& options,
                   const std::function<int(const Connection&)>& body);
// Prints a message as JSON, as --json wants it.
void PrintJson(const google::protobuf::Message& message);

}  // namespace cmkstore::cli
