// cmkstore_docs [--check] DOCS_DIR: the pages that are made from the code.

#include <cstdio>
#include <string>
#include <utility>

#include "base/file.h"
#include "service/config/config_printer.h"
#include "service/coverage_table.h"
#include "service/metrics.h"

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
  int stale = 0;
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
