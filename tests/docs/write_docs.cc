// cmkstore_docs [--check] DOCS_DIR: the pages that are made from the code, and whether errors.md has
// every reason with its code.

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/reasons.h"
#include "service/config/config_printer.h"
#include "service/coverage_table.h"
#include "service/metrics.h"

namespace {

// How many reasons have no row of their own.
int MissingReasons(const std::string& path) {
  const std::string page = cmkstore::ReadFile(path).value_or("");
  int missing = 0;
  for (const cmkstore::Reason& reason : cmkstore::kReasons) {
    const std::string row = absl::StrCat("\n| `", reason.word, "` | ",
                                         absl::StatusCodeToString(reason.code), " | ");
    if (absl::StrContains(page, row)) continue;
    std::fprintf(stderr, "%s has no row%s...\n", path.c_str(), row.c_str());
    ++missing;
  }
  return missing;
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 3 && std::string(argv[1]) == "--check";
  if (argc != 2 && !check) {
    std::fputs("cmkstore_docs [--check] DOCS_DIR\n", stderr);
    return 2;
  }
  const std::string directory = argv[argc - 1];
  const std::pair<std::string, std::string> pages[] = {
      {"configuration.md", cmkstore::service::ConfigReference()},
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
