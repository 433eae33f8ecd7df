// cmkstore_docs [--check] DOCS_DIR: the pages and parts of pages that are made from the code, and
// whether errors.md has every reason with its code.

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/reasons.h"
#include "cli/commands.h"
#include "service/config/config_printer.h"
#include "service/coverage_table.h"
#include "service/metrics.h"
#include "service/server_flags.h"
#include "tests/docs/command_reference.h"

namespace {

// What follows this line of cli.md is made from the grammar; what is before it is written by hand.
constexpr char kCommands[] = "\n## Every command and option\n\n";

std::string CliPage(const std::string& path) {
  const std::string page = cmkstore::ReadFile(path).value_or("");
  cmkstore::cli::Invocation invocation;
  return absl::StrCat(
      page.substr(0, page.find(kCommands)), kCommands,
      "Made from the grammar of `cmkctl`; a test compares the two. The first options go with every "
      "command, before or after it.\n\n",
      cmkstore::CommandReference(*cmkstore::cli::MakeApp(invocation)));
}

std::string ConfigPage() {
  cmkstore::service::ServerFlags flags;
  CLI::App app("", "cmkstored");
  cmkstore::service::DeclareFlags(app, flags);
  return absl::StrCat(cmkstore::service::ConfigReference(), "\n## Command line of cmkstored\n\n",
                      cmkstore::CommandReference(app));
}

// How many reasons have no row of their own.
int MissingReasons(const std::string& path) {
  const std::string page = cmkstore::ReadFile(path).value_or("");
  int missing = 0;
  for (const cmkstore::Reason& reason : cmkstore::kReasons) {
    const std::string row =
        absl::StrCat("\n| `", reason.word, "` | ", absl::StatusCodeToString(reason.code), " | ");
    if (absl::StrContains(page, row)) continue;
    std::fprintf(stderr, "%s has no row%s...\n", path.c_str(), row.c_str());
    ++missing;
  }
  return missing;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  const bool help = first == "--help" || first == "-h";
  const bool check = argc == 3 && first == "--check";
  if (help || (!check && (argc != 2 || absl::StartsWith(first, "-")))) {
    std::fputs("cmkstore_docs [--check] DOCS_DIR\n", help ? stdout : stderr);
    return help ? 0 : 2;
  }
  const std::string directory = argv[argc - 1];
  const std::pair<std::string, std::string> pages[] = {
      {"cli.md", CliPage(directory + "/cli.md")},
      {"configuration.md", ConfigPage()},
      {"coverage.md", cmkstore::service::CoverageReference()},
      {"metrics.md", cmkstore::service::MetricsReference()},
  };
  int stale = MissingReasons(directory + "/errors.md");
  for (const auto& [name, content] : pages) {
    const std::string path = directory + "/" + name;
    if (cmkstore::ReadFile(path) == content) continue;
    if (!check && cmkstore::WriteFileDurably(path, content)) continue;
    std::fprintf(stderr, "%s is not what the code says; run cmkstore_docs %s\n", path.c_str(),
                 directory.c_str());
    ++stale;
  }
  return stale == 0 ? 0 : 1;
}
