#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/connection.h"
#include "cli/failure.h"

namespace cmkstore::cli {

// One run of cmkctl: the global flags, and the exit code that the command leaves.
struct Invocation {
  ConnectionOptions connection;
  bool json = false;
  int exit_code = kOk;

  ErrorStyle style() const { return json ? ErrorStyle::kJson : ErrorStyle::kText; }
};

// What a command does once the server's address and credentials are known; gives the exit code.
using Body = std::function<int(const Connection&)>;

// Lets `command` run `body` when it is the one that was given. `invocation` must outlive the parse.
inline void OnRun(CLI::App* command, Invocation& invocation, Body body) {
  command->callback([&invocation, body = std::move(body)] {
    const absl::StatusOr<Connection> connection = Connection::Open(invocation.connection);
    invocation.exit_code =
        connection.ok() ? body(*connection) : ReportUsage(connection.status(), invocation.style());
  });
}

}  // namespace cmkstore::cli
