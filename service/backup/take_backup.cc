#include "service/backup/take_backup.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/backup/backup_errors.h"
#include "service/backup/backup_store.h"
#include "service/backup/cut.h"
#include "service/backup/pace.h"
#include "service/backup/purge_receipts.h"
#include "service/hub_directory.h"
#include "service/store_record.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

namespace fs = std::filesystem;
using storage::v1::BackupManifest;

constexpr size_t kHubsAtOnce = 1000;
constexpr size_t kDeksAtOnce = 100'000;

using KeyVersions = std::map<std::pair<std::string, std::string>, storage::v1::BackupKey>;

absl::Status SurveyHub(const store::ShardSet& cut, const storage::v1::HubRecord& record,
                       BackupManifest& manifest, KeyVersions& keys) {
  manifest.set_hubs(manifest.hubs() + 1);
  if (record.platform_managed()) {
    manifest.set_platform_managed_hubs(manifest.platform_managed_hubs() + 1);
  }
  CMK_ASSIGN_OR_RETURN(
      const auto deks,
      store::DeksTable(cut).List(HubDirectory::MakeEntry(record)->partition, kDeksAtOnce));
  std::map<std::string, uint64_t> by_key;
  for (const storage::v1::DekRecord& dek : deks) ++by_key[dek.kek_id()];
  for (const auto& [kek_id, count] : by_key) {
    storage::v1::BackupKey& key = keys[{record.tenant(), kek_id}];
    key.set_tenant(record.tenant());
    key.set_kek_id(kek_id);
    key.set_hubs(key.hubs() + 1);
    key.set_deks(key.deks() + count);
  }
  return absl::OkStatus();
}

// What the cut holds and needs.
absl::Status Survey(const store::ShardSet& cut, const PurgeReceipts& receipts,
                    BackupManifest& manifest) {
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(const storage::v1::StoreRecord facts, StoredFacts(cut));
  manifest.set_store_uid(absl::BytesToHexString(facts.store_uid()));
  manifest.set_store_format_version(facts.format_version());
  const store::HubsTable hubs(cut);
  KeyVersions keys;
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    for (const storage::v1::HubRecord& record : records) {
      if (record.state() == storage::v1::HUB_STATE_PURGED) {
        CMK_RETURN_IF_ERROR(receipts.Keep(record));
      } else {
        CMK_RETURN_IF_ERROR(SurveyHub(cut, record, manifest, keys));
      }
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  for (auto& [name, key] : keys) *manifest.add_keys() = std::move(key);
  return absl::OkStatus();
}

struct SourceFile {
  std::string source, path;
  uint64_t size = 0;
};

// Of the cut, all that a shard is opened from: not the log that RocksDB writes for people.
absl::StatusOr<std::vector<SourceFile>> FilesOf(const std::string& cut, uint32_t shards) {
  std::vector<SourceFile> files;
  std::error_code failed;
  for (uint32_t i = 0; i < shards && !failed; ++i) {
    const std::string shard = absl::StrCat("shard-", i);
    for (fs::directory_iterator at(absl::StrCat(cut, "/", shard), failed), end;
         !failed && at != end; at.increment(failed)) {
      const std::string name = at->path().filename();
      if (name == "LOCK" || name == "LOG" || absl::StartsWith(name, "LOG.")) continue;
      files.push_back({at->path(), absl::StrCat(shard, "/", name), at->file_size(failed)});
    }
  }
  if (failed) return StoreCorrupt("the cut of the shards cannot be listed");
  return files;
}

// By path, of a cut that is open.
using TableFiles = std::map<std::string, store::TableFile>;

absl::StatusOr<TableFiles> TableFilesOf(const store::ShardSet& cut) {
  CMK_ASSIGN_OR_RETURN(std::vector<store::TableFile> files, cut.TableFiles());
  TableFiles by_path;
  for (store::TableFile& file : files) by_path[file.path] = std::move(file);
  return by_path;
}

// A file that rotted in the data directory has a new SHA-256 and would pass for a new file. A file
// that is not in `tables` is of no table, or was written meanwhile by a compaction of the cut,
// which compares what it reads.
absl::Status CompareWithStore(const SourceFile& file, const TableFiles& tables,
                              const store::PaceFunction& pace) {
  const auto table = tables.find(file.source);
  if (table == tables.end()) return absl::OkStatus();
  uint64_t bytes = 0;
  CMK_ASSIGN_OR_RETURN(const store::TableFileState state,
                       store::CompareTableFile(table->second, pace, bytes));
  if (state == store::TableFileState::kAsWritten) return absl::OkStatus();
  const std::string what = store::WhatIsWrong(table->second, state);
  Log(LogLevel::kError, "integrity_finding",
      {{"shard", absl::StrCat(table->second.shard)}, {"detail", what}});
  return StoreCorrupt(absl::StrCat(what, ", so there is no new backup; those before it stay"));
}

// All of it, into a directory that is locked.
absl::StatusOr<BackupManifest> WriteBackup(const BackupStore& store, store::ShardSet& shards,
                                           const BackupOptions& options,
                                           const std::string& data_dir, const std::string& id,
                                           Clock& clock, const WorkWatch& watch) {
  const PurgeReceipts receipts(options);
  CMK_RETURN_IF_ERROR(receipts.Prepare());
  const ScratchDirectory cut(data_dir + "/cut-backup");
  CMK_RETURN_IF_ERROR(CutShards(shards, cut.path(), clock, watch.go_on));
  TableFiles tables;
  BackupManifest manifest;
  manifest.set_backup(id);
  manifest.set_create_time_micros(absl::ToUnixMicros(clock.WallNow()));
  manifest.set_shard_count(shards.shard_count());
  {
    // Also brings the copied logs into tables: what is copied below was opened once.
    CMK_ASSIGN_OR_RETURN(const auto opened, OpenAside(cut.path(), shards.shard_count()));
    CMK_RETURN_IF_ERROR(Survey(*opened, receipts, manifest));
    CMK_ASSIGN_OR_RETURN(tables, TableFilesOf(*opened));
  }
  CMK_ASSIGN_OR_RETURN(const std::vector<SourceFile> files,
                       FilesOf(cut.path(), shards.shard_count()));
  uint64_t total = 0, done = 0;
  for (const SourceFile& file : files) total += 2 * file.size;
  Pace pace(clock, options.bytes_per_second, watch.go_on);
  const store::PaceFunction paced = [&](uint64_t bytes) { return pace.Spent(bytes); };
  const store::PaceFunction moved = [&](uint64_t bytes) {
    done += bytes;
    watch.progress(done, total);
    return paced(bytes);
  };
  for (const SourceFile& file : files) {
    const auto check = [&] { return CompareWithStore(file, tables, paced); };
    CMK_RETURN_IF_ERROR(store.Add(file.source, file.path, {check, moved, paced}, manifest));
  }
  CMK_ASSIGN_OR_RETURN(std::vector<std::string> damaged, store.Verify(manifest, moved));
  if (!damaged.empty()) {
    // Written by a backup before and rotten since, as a rule: here is what it was made from.
    Log(LogLevel::kError, "backup_files_mended", {{"files", absl::StrCat(damaged.size())}});
    for (const storage::v1::BackupFile& file : manifest.files()) {
      if (std::find(damaged.begin(), damaged.end(), file.path()) == damaged.end()) continue;
      const std::string source = cut.path() + "/" + file.path();
      CMK_RETURN_IF_ERROR(store.WriteAnew(source, file.sha256(), paced));
    }
    CMK_ASSIGN_OR_RETURN(damaged, store.Verify(manifest, moved));
  }
  if (!damaged.empty()) {
    return BackupCorrupt(
        absl::StrCat(damaged.size(), " files do not read back, the first is ", damaged.front()));
  }
  CMK_RETURN_IF_ERROR(store.Commit(manifest));
  return manifest;
}

}  // namespace

absl::StatusOr<BackupManifest> TakeBackup(store::ShardSet& shards, const BackupOptions& options,
                                          const std::string& data_dir, const std::string& id,
                                          Clock& clock, const WorkWatch& watch) {
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options.directory));
  CMK_ASSIGN_OR_RETURN(const std::shared_ptr<void> lock, store.Lock());
  absl::StatusOr<BackupManifest> before = store.Read(id);
  if (before.ok()) return before;  // made, and then the server died
  absl::StatusOr<BackupManifest> written =
      WriteBackup(store, shards, options, data_dir, id, clock, watch);
  if (written.ok()) {
    store.Tidy(written->store_uid(), options.keep, id);
  } else if (!absl::IsCancelled(written.status())) {
    // What it has copied fills the disk, and would make the next one fail as well. After a stop it
    // goes on with that.
    store.Tidy("", std::numeric_limits<size_t>::max());
  }
  return written;
}

}  // namespace cmkstore::service
