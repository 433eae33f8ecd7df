#pragma once

#include <string>

#include "cli/invocation.h"

namespace cmkstore::cli {

struct ImportOptions {
  std::string hub;      // full name
  std::string file;     // "-" is standard input
  std::string project;  // where all lines go; empty: where each says, else "default"
  bool create_projects = false;
  bool restart = false;  // forget how far an earlier run came
};

// Stores every good line of a file (document_line.h), reports the bad ones with their number and
// goes on, shows progress on a terminal and a summary.
//
// Resumable: after each batch the place in the file is noted beside it (import_checkpoint.h), so
// that a run that was killed or gave up is taken up there by the next one; a batch in doubt is sent
// with the same request id and stored once. A line with a document that is there already replaces
// it. Gives the exit code: kInvalidInput with bad lines.
int Import(const Invocation& invocation, const Connection& connection,
           const ImportOptions& options);

}  // namespace cmkstore::cli
