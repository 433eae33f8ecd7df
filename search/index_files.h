#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace cmkstore::search {

// Index files as they can be judged without a key: by their names, and by what sealing
// (sealed_file.h) leaves to be seen.
//
// Thread-safe as the file system is.

// Whose a file in the directory of the indexes is: `<hub uid>.index`, its log or journal, or those
// of a rebuild. nullopt: no index has a file of that name.
std::optional<HubUid> HubOfIndexFile(absl::string_view name);

// Whether a link, a directory, a pipe or the like lies at `path`: a file of an index is none of
// these, and a link that were followed would have something outside the data directory written
// over.
bool IsNoPlainFile(const std::string& path);

// What the operating system has refused with `error` (errno) of the index file at `path`; `step`
// ends "it cannot be". Logs the path, which the status leaves out. STORE_FULL without room, else
// STORE_BUSY, which does not say when to come again: that is when somebody has seen to it.
absl::Status IndexFileFailed(absl::string_view step, const std::string& path, int error);

// What is wrong with the main file at `path`, which nobody has open; empty: nothing that can be
// seen. That a part was changed is seen only under the key; that one was put back to an earlier
// state of itself, not even there (docs/storage_format.md).
std::string DamageOfIndexFile(const std::string& path);

}  // namespace cmkstore::search
