#pragma once

#include <string>

#include "cli/invocation.h"

namespace cmkstore::cli {

// Writes every document below `parent` (full name of a hub, project or collection) as a line that
// import takes back (document_line.h), to standard output or to `output`, an OutputFile.
// Gives the exit code.
int Export(const Invocation& invocation, const Connection& connection, const std::string& parent,
           const std::string& output);

}  // namespace cmkstore::cli
