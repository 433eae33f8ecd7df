#pragma once

#include <CLI/CLI.hpp>
#include <optional>

namespace cmkstore {

// Exit code of a command line that says nothing sensible.
inline constexpr int kUsageExitCode = 2;

// Reads a program's words. Nothing: it goes on. Else the exit code to end with, all being said: 0
// after --help, kUsageExitCode for words that are wrong.
inline std::optional<int> ReadCommandLine(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageExitCode;
  }
}

}  // namespace cmkstore
