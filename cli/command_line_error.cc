#include "cli/command_line_error.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace cmkstore::cli {
namespace {

bool IsOption(const std::string& word) { return absl::StartsWith(word, "-"); }

// The last command that was understood, and how it is typed: "cmkctl hub list".
struct Command {
  const CLI::App* app;
  std::string typed;
};

Command Innermost(const CLI::App& app) {
  Command command{&app, app.get_name()};
  while (!command.app->get_subcommands().empty()) {
    command.app = command.app->get_subcommands().front();
    absl::StrAppend(&command.typed, " ", command.app->get_name());
  }
  return command;
}

std::string ExplainNoCommand(const Command& command, const std::vector<std::string>& left) {
  const auto word = std::find_if_not(left.begin(), left.end(), IsOption);
  const std::string commands =
      absl::StrJoin(command.app->get_subcommands({}), ", ",
                    [](std::string* out, const CLI::App* one) { out->append(one->get_name()); });
  if (word != left.end()) {
    return absl::StrCat("\"", *word, "\" is no command of ", command.typed,
                        "; there are: ", commands);
  }
  return left.empty() ? absl::StrCat("say which: ", command.typed, " ", commands)
                      : absl::StrCat("\"", left.front(), "\" is no option of ", command.typed);
}

std::string ExplainSurplus(const Command& command, const std::vector<std::string>& left) {
  const auto option = std::find_if(left.begin(), left.end(), IsOption);
  if (option != left.end()) {
    return absl::StrCat("\"", *option, "\" is no option of ", command.typed);
  }
  return absl::StrCat("\"", left.front(), "\" is one word too many for ", command.typed,
                      "; quote words that belong together");
}

// What the parser says of an option, in our words; the rest is of our own checks.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const Command command = Innermost(app);
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  if (command.app->get_require_subcommand_min() > 0) return ExplainNoCommand(command, left);
  const auto is = [&error](CLI::ExitCodes code) {
    return error.get_exit_code() == static_cast<int>(code);
  };
  if (is(CLI::ExitCodes::ExtrasError) && !left.empty()) return ExplainSurplus(command, left);
  const absl::string_view said = error.what();
  if (absl::string_view name = said; absl::ConsumeSuffix(&name, " is required")) {
    return absl::StrCat(command.typed, " needs ", name);
  }
  if (is(CLI::ExitCodes::ArgumentMismatch)) {
    return absl::StrCat(said.substr(0, said.find(':')), " needs a value");
  }
  if (const size_t at = said.find(" excludes "); at != absl::string_view::npos) {
    return absl::StrCat(said.substr(0, at), " and ", said.substr(at + 10),
                        " exclude each other; give one of them");
  }
  return std::string(said);
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
