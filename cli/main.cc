// cmkctl: the command line for operators and tenants.

#include <clocale>
#include <cstring>

#include "cli/commands.h"
#include "cli/completion.h"

int main(int argc, char** argv) {
  // For the widths of characters in tables.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  cmkstore::cli::Invocation invocation;
  const auto app = cmkstore::cli::MakeApp(invocation);
  // Before the grammar sees the words: they are a command line of another run.
  if (argc > 1 && std::strcmp(argv[1], "__complete") == 0) {
    cmkstore::cli::PrintCandidates(*app, {argv + 2, argv + argc});
    return cmkstore::cli::kOk;
  }
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app->exit(error) == 0 ? cmkstore::cli::kOk : cmkstore::cli::kUsage;
  }
  return invocation.exit_code;
}
