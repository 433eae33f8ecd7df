#include "tests/docs/command_reference.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace cmkstore {
namespace {

void AddRow(const std::string& name, const std::string& meaning, std::string& table) {
  absl::StrAppend(&table, "| ", name, " | ", absl::StrReplaceAll(meaning, {{"|", "\\|"}}), " |\n");
}

std::string NamesOf(const CLI::Option& option) {
  if (option.get_positional()) return absl::StrCat("`", option.get_name(/*positional=*/true), "`");
  std::string names;
  for (const std::string& name : option.get_lnames()) absl::StrAppend(&names, ", `--", name, "`");
  for (const std::string& name : option.get_snames()) absl::StrAppend(&names, ", `-", name, "`");
  return names.substr(2);
}

std::string MeaningOf(const CLI::Option& option) {
  std::string meaning = option.get_description();
  const bool flag = !option.get_positional() && option.get_items_expected_max() == 0;
  if (option.get_required() && !option.get_positional()) absl::StrAppend(&meaning, "; required");
  if (!flag && !option.get_default_str().empty()) {
    absl::StrAppend(&meaning, "; default `", option.get_default_str(), "`");
  }
  if (!option.get_envname().empty()) {
    absl::StrAppend(&meaning, "; environment `", option.get_envname(), "`");
  }
  return meaning;
}

// `--help` is everywhere.
bool IsHelp(const CLI::Option& option) { return option.check_lname("help"); }

void AddOptions(const CLI::App& command, std::string& table) {
  for (const CLI::Option* option : command.get_options()) {
    // HUB says what it is by its name.
    const bool plain = option->get_positional() && option->get_description().empty();
    if (!plain && !IsHelp(*option)) AddRow(NamesOf(*option), MeaningOf(*option), table);
  }
}

bool IsRunByItself(const CLI::App& command) {
  if (command.get_subcommands({}).empty()) return true;
  for (const CLI::Option* option : command.get_options()) {
    if (!IsHelp(*option)) return true;
  }
  return false;
}

void AddCommands(const CLI::App& parent, const std::string& typed, std::string& table) {
  for (const CLI::App* command : parent.get_subcommands({})) {
    std::string words = absl::StrCat(typed, " ", command->get_name());
    const bool group = command->get_name().empty();  // of options
    if (group || IsRunByItself(*command)) {
      std::string head = group ? command->get_group() : words;
      for (const CLI::Option* option : command->get_options()) {
        if (!option->get_positional()) continue;
        const std::string name = option->get_name(/*positional=*/true);
        absl::StrAppend(&head, " ", option->get_required() ? name : absl::StrCat("[", name, "]"));
      }
      AddRow(absl::StrCat(group ? "**" : "**`", head, group ? "**" : "`**"),
             command->get_description(), table);
      AddOptions(*command, table);
    }
    AddCommands(*command, words, table);
  }
}

}  // namespace

std::string CommandReference(const CLI::App& program) {
  std::string table = "| | meaning |\n| --- | --- |\n";
  AddOptions(program, table);
  AddCommands(program, program.get_name(), table);
  return table;
}

}  // namespace cmkstore
