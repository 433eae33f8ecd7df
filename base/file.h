#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore {

// The whole content of a small file; nothing if it cannot be read.
std::optional<std::string> ReadFile(const std::string& path);

// Makes the names in a directory durable. False if it failed.
bool SyncDirectory(const std::string& path);

// Renames a file whose content is on disk, and makes its new name durable. False if either step
// failed.
bool RenameDurably(const std::string& from, const std::string& to);

// Replaces `path` (mode 0600) so that after a crash it holds the old content or the new, never a
// part: a new file is written, synced and renamed over it, and its directory is synced. False if
// any step failed.
bool WriteFileDurably(const std::string& path, absl::string_view content);

}  // namespace cmkstore
