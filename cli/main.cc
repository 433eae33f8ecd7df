// cmkctl: the command line for operators and tenants.

#include <clocale>
#include <cstdlib>
#include <cstring>

#include "cli/command_line_error.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/output.h"

namespace cmkstore::cli {
namespace {

int Run(int argc, char** argv) {
  Invocation invocation;
  const auto app = MakeApp(invocation);
  // Before the grammar sees the words: they are a command line of another run.
  if (argc > 1 && std::strcmp(argv[1], "__complete") == 0) {
    PrintCandidates(*app, {argv + 2, argv + argc});
    return kOk;
  }
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app->exit(error);  // --help, --version
    return ReportCommandLine(*app, error, StyleOf({argv + 1, argv + argc}));
  }
  return invocation.exit_code;
}

}  // namespace
}  // namespace cmkstore::cli

int main(int argc, char** argv) {
  // For the widths of characters in tables.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  // gRPC's own log lines would stand between our sentences; whoever wants them sets it otherwise.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  const int exit_code = cmkstore::cli::Run(argc, argv);
  if (exit_code != cmkstore::cli::kOk) return exit_code;
  return cmkstore::cli::ReportUsage(cmkstore::cli::CheckOutput(),
                                    cmkstore::cli::StyleOf({argv + 1, argv + argc}));
}
