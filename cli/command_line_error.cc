#include "cli/command_line_error.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"

namespace cmkstore::cli {
namespace {

// The last command that was understood.
const CLI::App& Innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& at = Innermost(app);
  if (at.get_require_subcommand_min() == 0) return error.what();
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  const auto word = std::find_if(
      left.begin(), left.end(), [](const std::string& one) { return !absl::StartsWith(one, "-"); });
  const std::string commands =
      absl::StrJoin(at.get_subcommands({}), ", ",
                    [](std::string* out, const CLI::App* one) { out->append(one->get_name()); });
  const std::string begun = &at == &app ? "cmkctl" : "cmkctl " + at.get_name();
  if (word == left.end()) {
    return left.empty() ? absl::StrCat("say which: ", begun, " ", commands)
                        : absl::StrCat("\"", left.front(), "\" is no option of ", begun);
  }
  return absl::StrCat("\"", *word, "\" is no command of ", begun, "; there are: ", commands);
}

}  // namespace

ErrorStyle StyleOf(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "--json") == end ? ErrorStyle::kText : ErrorStyle::kJson;
}

ExitCode ReportCommandLine(const CLI::App& app, const CLI::ParseError& error, ErrorStyle style) {
  const ExitCode exit_code = ReportUsage(StateInvalid(Explain(app, error)), style);
  if (style == ErrorStyle::kText) {
    std::fputs("  --help after any command shows how\n", stderr);
  }
  return exit_code;
}

}  // namespace cmkstore::cli
