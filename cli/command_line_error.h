#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/failure.h"

namespace cmkstore::cli {

// Whether a command line that may be wrong asks for JSON: what parsing left is not to be trusted.
ErrorStyle StyleOf(const std::vector<std::string>& words);
// Says what is wrong with a command line, naming a word that is no command; gives kUsage. `app` is
// as the failed parse left it.
ExitCode ReportCommandLine(const CLI::App& app, const CLI::ParseError& error, ErrorStyle style);

}  // namespace cmkstore::cli
