#include "cli/completion.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/output.h"

namespace cmkstore::cli {
namespace {

// Each script hands the words to `cmkctl __complete`, which prints WORD TAB DESCRIPTION a line.
constexpr absl::string_view kBash =
    R"(# cmkctl completion for bash: source <(cmkctl completion bash)
_cmkctl() {
  local IFS=$'\n'
  COMPREPLY=($(cmkctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _cmkctl cmkctl
)";

constexpr absl::string_view kZsh = R"(#compdef cmkctl
# cmkctl completion for zsh: source <(cmkctl completion zsh)
_cmkctl() {
  local -a lines
  lines=("${(@f)$(cmkctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  lines=("${(@)lines:#}")
  if (( ${#lines} )); then
    lines=("${(@)lines//:/\\:}")
    lines=("${(@)lines/$'\t'/:}")
    _describe cmkctl lines
  else
    _files
  fi
}
compdef _cmkctl cmkctl
)";

constexpr absl::string_view kFish = R"(# cmkctl completion for fish: cmkctl completion fish | source
function __cmkctl_complete
  set -l words (commandline -opc) (commandline -ct)
  cmkctl __complete $words[2..-1] 2>/dev/null
end
complete -c cmkctl -a '(__cmkctl_complete)'
)";

const CLI::Option* FindOption(const CLI::App& app, const std::string& word) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    if (const CLI::Option* option = at->get_option_no_throw(word)) return option;
  }
  return nullptr;
}

bool TakesValue(const CLI::App& app, const std::string& word) {
  if (!absl::StartsWith(word, "-") || absl::StrContains(word, "=")) return false;
  const CLI::Option* option = FindOption(app, word);
  return option != nullptr && option->get_items_expected_max() > 0;
}

const CLI::App* Subcommand(const CLI::App& app, const std::string& word) {
  for (const CLI::App* one : app.get_subcommands({})) {
    if (one->get_name() == word) return one;
  }
  return nullptr;
}

void AddOptions(const CLI::App& app, const std::string& typed, std::vector<Candidate>& candidates) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        // --help and --version are at every level or make sense at the top only.
        const bool once = at == &app || (name != "help" && name != "version");
        const std::string word = "--" + name;
        if (once && absl::StartsWith(word, typed)) {
          candidates.push_back({word, option->get_description()});
        }
      }
    }
  }
}

}  // namespace

std::vector<Candidate> Complete(const CLI::App& app, const std::vector<std::string>& words) {
  std::vector<Candidate> candidates;
  if (words.empty()) return candidates;
  const CLI::App* at = &app;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (TakesValue(*at, words[i])) {
      if (++i + 1 == words.size()) return candidates;
      continue;
    }
    if (const CLI::App* next = Subcommand(*at, words[i])) at = next;
  }
  const std::string& typed = words.back();
  if (absl::StartsWith(typed, "-")) {
    AddOptions(*at, typed, candidates);
    return candidates;
  }
  for (const CLI::App* one : at->get_subcommands({})) {
    if (absl::StartsWith(one->get_name(), typed)) {
      candidates.push_back({one->get_name(), one->get_description()});
    }
  }
  return candidates;
}

absl::string_view CompletionScript(absl::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return "";
}

void PrintCandidates(const CLI::App& app, const std::vector<std::string>& words) {
  for (const Candidate& one : Complete(app, words)) {
    PrintLine(absl::StrCat(one.word, "\t", one.what));
  }
}

void AddCompletionCommand(CLI::App& app, Invocation& /*invocation*/) {
  CLI::App* completion =
      app.add_subcommand("completion", "Print the script that completes cmkctl in a shell");
  completion->footer(
      "\nExamples:\n"
      "  source <(cmkctl completion bash)          in ~/.bashrc\n"
      "  source <(cmkctl completion zsh)           in ~/.zshrc, after compinit\n"
      "  cmkctl completion fish | source           in ~/.config/fish/config.fish");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([shell] {
    const absl::string_view script = CompletionScript(*shell);
    std::fwrite(script.data(), 1, script.size(), stdout);
  });
}

}  // namespace cmkstore::cli
