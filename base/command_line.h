#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace cmkstore {

// Exit code of a command line that says nothing sensible.
inline constexpr int kUsageExitCode = 2;

// Has every option and argument of `app` and of its commands refuse an empty value, which is what a
// variable that is not set leaves behind; `but`: names of those to which it means something.
inline void RefuseEmptyValues(CLI::App& app, const std::vector<std::string>& but = {}) {
  for (CLI::Option* option : app.get_options()) {
    if (std::find(but.begin(), but.end(), option->get_name()) != but.end()) continue;
    option->check(CLI::Validator(
        [](std::string& value) -> std::string { return value.empty() ? "must not be empty" : ""; },
        /*validator_desc=*/""));
  }
  for (CLI::App* command : app.get_subcommands({})) RefuseEmptyValues(*command, but);
}

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
