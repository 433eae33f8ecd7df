#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "cli/line_reader.h"

namespace cmkstore::cli {

// How far an import came: every line before `place` is stored or was reported.
struct ImportCheckpoint {
  std::string target;     // where the documents go; another target is another import
  std::string import_id;  // 16 hex digits, drawn at its start
  FilePlace place;
  uint64_t stored = 0;
  uint64_t bad = 0;
};

// FILE.cmkctl-import, beside the file.
std::string CheckpointPath(const std::string& import_file);
std::optional<ImportCheckpoint> ParseCheckpoint(absl::string_view text);
std::string FormatCheckpoint(const ImportCheckpoint& checkpoint);

// A checkpoint at the beginning of an import.
ImportCheckpoint NewImport(const std::string& target);
// The request id of the batch that begins after `line`: the same whenever this import is taken up
// again, so that a batch that was stored without our knowing is not stored twice, and another in
// every other import.
std::string BatchRequestId(const ImportCheckpoint& checkpoint, uint64_t line);

}  // namespace cmkstore::cli
