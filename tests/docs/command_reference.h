#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace cmkstore {

// A Markdown table of a program's commands and options, made from its grammar: the options of the
// program itself, then each command with its own.
std::string CommandReference(const CLI::App& program);

}  // namespace cmkstore
