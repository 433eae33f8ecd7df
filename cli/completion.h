#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmkstore::cli {

struct Candidate {
  std::string word;
  std::string what;
};

// What may stand in place of the last of `words`, which is what has been typed of it; the words
// before it are complete. Commands and options come from the grammar itself, so that nothing is
// missing. Nothing where a value is expected: the shell completes files there.
std::vector<Candidate> Complete(const CLI::App& app, const std::vector<std::string>& words);

// Prints them, WORD TAB DESCRIPTION a line: what `cmkctl __complete WORDS…` does.
void PrintCandidates(const CLI::App& app, const std::vector<std::string>& words);

// The script that a shell evaluates; empty for an unknown shell.
absl::string_view CompletionScript(absl::string_view shell);

}  // namespace cmkstore::cli
