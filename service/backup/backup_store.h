#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cmkstore/storage/v1/backup.pb.h"
#include "service/backup/checked_file.h"
#include "store/rocksdb/table_files.h"

namespace cmkstore::service {

// A directory of backups (docs/storage_format.md):
//
//   backups/ID.json        the manifest of one: written last, so what has one is complete
//   files/XX/SHA256        the files of all, each once, named by what is in it
//   LOCK                   held by whoever writes
//
// A file that several backups have is there once: that is what makes them incremental. It is never
// changed, and removed only when no manifest names it.
//
// Thread-safe as the file system is. Ids are checked: no name leads out of the directory.
//
// Errors: BACKUP_STORAGE_FAILED, BACKUP_CORRUPT, BACKUP_NOT_FOUND, FORMAT_TOO_NEW.
class BackupStore {
 public:
  // The directory must be there: an empty mount point is not to be taken for it.
  static absl::StatusOr<BackupStore> Open(const std::string& directory);

  // "20261125T134500.123456Z": sorts by time, and behind every such id that is there and `last`,
  // the one that was given before, also when the clock was set back: the newest is what sorts last.
  absl::StatusOr<std::string> NewId(absl::Time now, absl::string_view last) const;

  // Keeps every other process and thread from writing as long as the answer lives. Errors: also
  // STATE_INVALID when somebody writes.
  absl::StatusOr<std::shared_ptr<void>> Lock() const;

  // Keeps every process from removing the backup as long as the answer lives. Errors: also
  // STATE_INVALID when somebody is removing it.
  absl::StatusOr<std::shared_ptr<void>> Hold(absl::string_view id) const;

  // Newest first, from just behind `after` (empty: from the newest).
  absl::StatusOr<std::vector<std::string>> List(const std::string& after, size_t limit) const;
  absl::StatusOr<storage::v1::BackupManifest> Read(absl::string_view id) const;

  // How Add is watched. Each may end it with its error.
  struct AddWatch {
    // Asked before a new file is written: what is there once is taken for good by every later
    // backup.
    std::function<absl::Status()> check;
    store::PaceFunction hashing;  // of every file
    store::PaceFunction copying;  // of a new one
  };
  // Puts a file into the directory unless its like is there, and adds it to the manifest under
  // `path`. Under a lock.
  absl::Status Add(const std::string& source, const std::string& path, const AddWatch& watch,
                   storage::v1::BackupManifest& manifest) const;
  // Writes the file of that name again, whatever is there. Under a lock.
  absl::Status WriteAnew(const std::string& source, absl::string_view sha256,
                         const store::PaceFunction& pace) const;
  // Makes a backup of what was added and verified. Under a lock.
  absl::Status Commit(const storage::v1::BackupManifest& manifest) const;
  // Reads every file of a backup from the disk and compares it with its name. Gives the paths of
  // those that are not as they were written.
  absl::StatusOr<std::vector<std::string>> Verify(const storage::v1::BackupManifest& manifest,
                                                  const store::PaceFunction& pace) const;
  // Copies a backup's files into a new directory, comparing each with its checksum.
  absl::Status CopyOut(const storage::v1::BackupManifest& manifest, const std::string& directory,
                       const store::PaceFunction& pace) const;
  // The newest backup of one store whose manifest reads; nullopt: it has none.
  absl::StatusOr<std::optional<storage::v1::BackupManifest>> NewestOf(
      absl::string_view store_uid) const;
  // Removes the oldest backups of one store until `keep` are left, but not `made`, which has just
  // been written; then every file that no backup needs, as one that failed has left them. Backups
  // whose manifest does not read, and those that are held, stay; and while one does not read, which
  // may still be mended by hand, all files stay. What cannot be removed is for the next time, and
  // the log says why. Reads each manifest once. Gives the newest backup that is left of that store,
  // without its files. Under a lock.
  std::optional<storage::v1::BackupManifest> Tidy(absl::string_view store_uid, size_t keep,
                                                  absl::string_view made = "") const;
  // Removes one backup, also one whose manifest does not read. Errors: also STATE_INVALID for one
  // that is held. Under a lock.
  absl::Status Remove(absl::string_view id) const;

 private:
  explicit BackupStore(std::string directory) : directory_(std::move(directory)) {}
  std::string FileOf(absl::string_view sha256) const;
  std::string ManifestOf(absl::string_view id) const;
  absl::StatusOr<std::vector<std::string>> AllIds() const;  // oldest first
  absl::Status RemoveFilesBut(const std::set<std::string>& needed) const;

  std::string directory_;
};

}  // namespace cmkstore::service
