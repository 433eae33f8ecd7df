#include "service/backup/backup_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/backup/backup_errors.h"

namespace cmkstore::service {
namespace {

namespace fs = std::filesystem;
using storage::v1::BackupFile;
using storage::v1::BackupManifest;

constexpr uint32_t kManifestVersion = 1;
constexpr absl::string_view kManifestEnd = ".json";
constexpr size_t kSha256Digits = 64;
constexpr char kIdFormat[] = "%E4Y%m%dT%H%M%E6SZ";

bool IsId(absl::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-';
  }) && absl::ascii_isalnum(id.front());
}

bool IsSha256(absl::string_view text) {
  return text.size() == kSha256Digits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

// "shard-3/000012.sst": as we made it, and nothing that leads elsewhere.
bool IsPath(absl::string_view path) {
  const size_t slash = path.find('/');
  return absl::StartsWith(path, "shard-") && slash != absl::string_view::npos &&
         path.find('/', slash + 1) == absl::string_view::npos &&
         path.find("..") == absl::string_view::npos && slash + 1 < path.size();
}

// In one that is there. Its name lasts as what is in it does.
absl::Status MakeDirectory(const std::string& path) {
  std::error_code failed;
  const bool made = fs::create_directory(path, failed);
  if (failed) return BackupStorageFailed("a directory cannot be made");
  return made ? SyncDirectory(fs::path(path).parent_path()) : absl::OkStatus();
}

// `how`: LOCK_SH by who reads a backup, LOCK_EX by who removes it.
absl::StatusOr<std::shared_ptr<void>> LockManifest(const std::string& path, int how) {
  const int file = open(path.c_str(), (how == LOCK_EX ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (file < 0) {
    return errno == ENOENT ? NotFound("backup")
                           : BackupStorageFailed("a manifest cannot be opened");
  }
  std::shared_ptr<void> lock(nullptr, [file](void*) { close(file); });
  // A file system without locks is no reason not to restore from it.
  if (flock(file, how | LOCK_NB) == 0 || errno != EWOULDBLOCK) return lock;
  return StateInvalid(how == LOCK_EX ? "the backup is being restored; delete it when that has ended"
                                     : "the backup is being deleted");
}

}  // namespace

absl::StatusOr<BackupStore> BackupStore::Open(const std::string& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    return BackupStorageFailed("it does not exist; mount it, or make it");
  }
  BackupStore store(directory);
  CMK_RETURN_IF_ERROR(MakeDirectory(directory + "/backups"));
  CMK_RETURN_IF_ERROR(MakeDirectory(directory + "/files"));
  return store;
}

absl::StatusOr<std::string> BackupStore::NewId(absl::Time now, absl::string_view last) const {
  CMK_ASSIGN_OR_RETURN(std::vector<std::string> ids, AllIds());
  ids.emplace_back(last);
  absl::Time next = absl::FromUnixMicros(absl::ToUnixMicros(now));
  for (const std::string& id : ids) {
    absl::Time taken;
    if (!absl::ParseTime(kIdFormat, id, &taken, nullptr)) continue;
    next = std::max(next, taken + absl::Microseconds(1));
  }
  return absl::FormatTime(kIdFormat, next, absl::UTCTimeZone());
}

std::string BackupStore::FileOf(absl::string_view sha256) const {
  return absl::StrCat(directory_, "/files/", sha256.substr(0, 2), "/", sha256);
}

std::string BackupStore::ManifestOf(absl::string_view id) const {
  return absl::StrCat(directory_, "/backups/", id, kManifestEnd);
}

absl::StatusOr<std::shared_ptr<void>> BackupStore::Lock() const {
  const std::string path = directory_ + "/LOCK";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return BackupStorageFailed("its lock cannot be opened");
  std::shared_ptr<void> lock(nullptr, [file](void*) { close(file); });
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return BackupStorageFailed("it cannot be locked");
  return StateInvalid("another backup is being written into this directory");
}

absl::StatusOr<std::shared_ptr<void>> BackupStore::Hold(absl::string_view id) const {
  return LockManifest(ManifestOf(id), LOCK_SH);
}

absl::StatusOr<std::vector<std::string>> BackupStore::AllIds() const {
  std::vector<std::string> ids;
  std::error_code failed;
  for (fs::directory_iterator at(directory_ + "/backups", failed), end; !failed && at != end;
       at.increment(failed)) {
    const std::string name = at->path().filename();
    absl::string_view id = name;
    if (absl::ConsumeSuffix(&id, kManifestEnd) && IsId(id)) ids.emplace_back(id);
  }
  if (failed) return BackupStorageFailed("it cannot be listed");
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::StatusOr<std::vector<std::string>> BackupStore::List(const std::string& after,
                                                           size_t limit) const {
  CMK_ASSIGN_OR_RETURN(std::vector<std::string> ids, AllIds());
  std::reverse(ids.begin(), ids.end());
  if (!after.empty()) {
    ids.erase(ids.begin(), std::find_if(ids.begin(), ids.end(),
                                        [&](const std::string& id) { return id < after; }));
  }
  if (ids.size() > limit) ids.resize(limit);
  return ids;
}

absl::StatusOr<BackupManifest> BackupStore::Read(absl::string_view id) const {
  std::error_code ignored;
  if (!IsId(id) || !fs::exists(ManifestOf(id), ignored)) return NotFound("backup");
  BackupManifest manifest;
  CMK_RETURN_IF_ERROR(Annotate(ReadChecked(ManifestOf(id), manifest), "its manifest"));
  if (manifest.format_version() > kManifestVersion) return FormatTooNew("the backup");
  for (const BackupFile& file : manifest.files()) {
    if (!IsPath(file.path()) || !IsSha256(file.sha256())) {
      return BackupCorrupt("its manifest names a file as no backup does");
    }
  }
  return manifest;
}

absl::Status BackupStore::Add(const std::string& source, const std::string& path,
                              const AddWatch& watch, BackupManifest& manifest) const {
  CMK_ASSIGN_OR_RETURN(const FileDigest digest,
                       DigestOf(source, /*from_disk=*/false, watch.hashing));
  BackupFile& file = *manifest.add_files();
  file.set_path(path);
  file.set_size(digest.size);
  file.set_sha256(digest.sha256);
  const std::string kept = FileOf(digest.sha256);
  std::error_code absent;
  // Of another size it is damaged: written again.
  if (fs::file_size(kept, absent) == digest.size && !absent) return absl::OkStatus();
  CMK_RETURN_IF_ERROR(watch.check());
  manifest.set_new_bytes(manifest.new_bytes() + digest.size);
  return WriteAnew(source, digest.sha256, watch.copying);
}

absl::Status BackupStore::WriteAnew(const std::string& source, absl::string_view sha256,
                                    const store::PaceFunction& pace) const {
  const std::string kept = FileOf(sha256);
  const std::string folder = fs::path(kept).parent_path();
  CMK_RETURN_IF_ERROR(MakeDirectory(folder));
  const std::string next = absl::StrCat(directory_, "/files/next");
  CMK_ASSIGN_OR_RETURN(const FileDigest copied, CopyDurably(source, next, pace));
  if (copied.sha256 != sha256) return BackupStorageFailed("a file changed while it was read");
  std::error_code failed;
  fs::rename(next, kept, failed);
  if (failed) return BackupStorageFailed("a file cannot be renamed");
  return SyncDirectory(folder);
}

absl::Status BackupStore::Commit(const BackupManifest& manifest) const {
  BackupManifest complete = manifest;
  complete.set_format_version(kManifestVersion);
  return WriteChecked(ManifestOf(manifest.backup()), complete);
}

absl::StatusOr<std::vector<std::string>> BackupStore::Verify(
    const BackupManifest& manifest, const store::PaceFunction& pace) const {
  std::vector<std::string> damaged;
  for (const BackupFile& file : manifest.files()) {
    const absl::StatusOr<FileDigest> digest = DigestOf(FileOf(file.sha256()), true, pace);
    if (!digest.ok() && !HasReason(digest.status(), "BACKUP_STORAGE_FAILED")) {
      return digest.status();
    }
    if (digest.ok() && digest->sha256 == file.sha256() && digest->size == file.size()) continue;
    damaged.push_back(file.path());
  }
  return damaged;
}

absl::Status BackupStore::CopyOut(const BackupManifest& manifest, const std::string& directory,
                                  const store::PaceFunction& pace) const {
  CMK_RETURN_IF_ERROR(MakeDirectory(directory));
  std::set<std::string> folders;
  for (const BackupFile& file : manifest.files()) {
    const std::string target = absl::StrCat(directory, "/", file.path());
    const std::string folder = fs::path(target).parent_path();
    if (folders.insert(folder).second) CMK_RETURN_IF_ERROR(MakeDirectory(folder));
    std::error_code ignored;
    if (!fs::exists(FileOf(file.sha256()), ignored)) {
      return BackupCorrupt(absl::StrCat("the file ", file.path(), " is missing"));
    }
    CMK_ASSIGN_OR_RETURN(const FileDigest copied, CopyDurably(FileOf(file.sha256()), target, pace));
    if (copied.sha256 != file.sha256() || copied.size != file.size()) {
      return BackupCorrupt(absl::StrCat("the checksum of ", file.path(), " does not match"));
    }
  }
  for (const std::string& folder : folders) CMK_RETURN_IF_ERROR(SyncDirectory(folder));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<BackupManifest>> BackupStore::NewestOf(
    absl::string_view store_uid) const {
  CMK_ASSIGN_OR_RETURN(const std::vector<std::string> ids, AllIds());
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    absl::StatusOr<BackupManifest> manifest = Read(*id);
    if (manifest.ok() && manifest->store_uid() == store_uid) return *std::move(manifest);
  }
  return std::nullopt;
}

absl::Status BackupStore::Remove(absl::string_view id) const {
  if (!IsId(id)) return NotFound("backup");
  CMK_ASSIGN_OR_RETURN(const std::shared_ptr<void> held, LockManifest(ManifestOf(id), LOCK_EX));
  if (unlink(ManifestOf(id).c_str()) != 0) {
    return errno == ENOENT ? NotFound("backup") : BackupStorageFailed("a backup cannot be removed");
  }
  return SyncDirectory(directory_ + "/backups");
}

std::optional<BackupManifest> BackupStore::Tidy(absl::string_view store_uid, size_t keep,
                                                absl::string_view made) const {
  std::optional<BackupManifest> newest;
  std::set<std::string> needed;
  size_t kept = 0;
  const auto look_at = [&](const std::string& id) -> absl::Status {
    CMK_ASSIGN_OR_RETURN(BackupManifest manifest, Read(id));
    if (manifest.store_uid() == store_uid && ++kept > keep && id != made) {
      const absl::Status removed = Remove(id);
      if (removed.ok()) return removed;
      // It is held, as a rule.
      Log(LogLevel::kWarning, "backups_not_pruned",
          {{"backup", id}, {"reason", ReasonOf(removed)}});
    }
    for (const BackupFile& file : manifest.files()) needed.insert(file.sha256());
    manifest.clear_files();
    if (!newest.has_value() && manifest.store_uid() == store_uid) newest = std::move(manifest);
    return absl::OkStatus();
  };
  const absl::StatusOr<std::vector<std::string>> ids = AllIds();
  absl::Status all_known = ids.status();
  if (ids.ok()) {
    for (auto id = ids->rbegin(); id != ids->rend(); ++id) {
      all_known.Update(Annotate(look_at(*id), absl::StrCat("backups/", *id)));
    }
  }
  if (all_known.ok()) all_known = RemoveFilesBut(needed);
  if (!all_known.ok()) {
    Log(LogLevel::kWarning, "backup_files_kept",
        {{"reason", ReasonOf(all_known)}, {"detail", std::string(all_known.message())}});
  }
  return newest;
}

absl::Status BackupStore::RemoveFilesBut(const std::set<std::string>& needed) const {
  std::error_code failed;
  for (fs::recursive_directory_iterator at(directory_ + "/files", failed), end;
       !failed && at != end; at.increment(failed)) {
    if (!at->is_regular_file(failed) || needed.contains(at->path().filename())) continue;
    unlink(at->path().c_str());
  }
  return failed ? BackupStorageFailed("it cannot be listed") : absl::OkStatus();
}

}  // namespace cmkstore::service
