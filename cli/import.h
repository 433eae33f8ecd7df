#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/connection.h"
#include "cmkstore/v1/document_service.pb.h"

namespace cmkstore::cli {

// One line of an import file, {"collection","id","labels","content"}, as a document of the project. `content` that is no
// string is stored as its JSON text. Errors: FIELD_INVALID saying what is wrong with the line.
absl::StatusOr<v1::Document> ParseImportLine(absl::string_view project_name, absl::string_view line);

// Stores every good line of `file` in batches, reports the bad ones with their number, shows progress. Running it again
// stores the same documents again, so an interrupted import is repeated whole. Gives the exit code.
int Import(const Connection& connection, const std::string& hub_name, const std::string& project,
           const std::string& file);

}  // namespace cmkstore::cli
