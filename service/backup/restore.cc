#include "service/backup/restore.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/private_directory.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/backup/backup_errors.h"
#include "service/backup/backup_store.h"
#include "service/backup/cut.h"
#include "service/backup/pace.h"
#include "service/backup/purge_receipts.h"
#include "service/hub_directory.h"
#include "service/shred_hub.h"
#include "service/store_record.h"
#include "store/shard_copy.h"
#include "store/tables.h"
#include "vault/platform_key_vault.h"

namespace cmkstore::service {
namespace {

namespace fs = std::filesystem;
using storage::v1::BackupManifest;
using storage::v1::HubRecord;
using PurgedHubs = std::map<std::string, storage::v1::PurgedHub>;

constexpr size_t kHubsAtOnce = 1000;
constexpr size_t kRowsAtOnce = 10'000;

std::string PlatformKeyOf(const RestoreTarget& target) { return target.data_dir + "/platform.key"; }

std::string OfflineScratchOf(const std::string& data_dir) { return data_dir + "/restore-offline"; }

bool HasShards(const std::string& data_dir) {
  std::error_code failed;
  const std::string shards = data_dir + "/shards";
  return fs::exists(shards, failed) && !fs::is_empty(shards, failed);
}

absl::Status CheckFits(const BackupManifest& manifest, const RestoreTarget& target) {
  if (manifest.store_format_version() > kStoreFormatVersion) return FormatTooNew("the backup");
  if (manifest.shard_count() != target.shards) {
    return StateInvalid(absl::StrCat(
        "the backup has ", manifest.shard_count(), " shards and this server ", target.shards,
        ": start an empty one with store.shards: ", manifest.shard_count(),
        "; a backup is not spread over another number of shards"));
  }
  std::error_code ignored;
  if (manifest.platform_managed_hubs() > 0 && !fs::exists(PlatformKeyOf(target), ignored)) {
    return StateInvalid(absl::StrCat(
        manifest.platform_managed_hubs(),
        " hubs of the backup are under the platform's key, which no backup holds: put the "
        "platform.key of the server it was taken from into the data directory first"));
  }
  return absl::OkStatus();
}

absl::Status Write(store::ShardSet& shards, const store::Partition& partition,
                   store::WriteSet writes) {
  return ApplyBlocking(shards, partition, std::move(writes)).status();
}

absl::Status LeaveOut(store::ShardSet& shards, HubRecord record,
                      const storage::v1::PurgedHub& receipt, absl::Time now) {
  const HubEntryPtr hub = HubDirectory::MakeEntry(record);
  CMK_RETURN_IF_ERROR(ShredKeys(shards, hub->partition));
  CMK_RETURN_IF_ERROR(KeepUsage(shards, hub->partition, hub->uid));
  CMK_RETURN_IF_ERROR(DropRows(shards, hub->partition, hub->uid));
  record.set_state(storage::v1::HUB_STATE_PURGED);
  record.clear_sealed_body();
  record.set_revision(record.revision() + 1);
  storage::v1::PurgeReceipt& purge = *record.mutable_purge();
  purge.set_start_time_micros(receipt.start_time_micros());
  purge.set_finish_time_micros(absl::ToUnixMicros(now));
  purge.clear_dek_ids();
  for (const std::string& dek : receipt.dek_ids()) purge.add_dek_ids(absl::HexStringToBytes(dek));
  Log(LogLevel::kInfo, "purged_hub_left_out",
      {{"hub_uid", hub->uid.ToHex()}, {"hub", hub->Name()}});
  store::WriteSet writes;
  store::HubsTable::Put(writes, record.tenant(), record.hub(), record);
  return Write(shards, store::CatalogPartition(), std::move(writes));
}

// A DEK of the hub unwraps under the target's platform key: else nobody would ever read the hub.
absl::Status TryPlatformKey(const store::ShardSet& shards, const HubRecord& record,
                            vault::PlatformKeyVault& vault) {
  CMK_ASSIGN_OR_RETURN(const auto deks, store::DeksTable(shards).List(
                                            HubDirectory::MakeEntry(record)->partition, 1));
  if (deks.empty()) return absl::OkStatus();
  const vault::WrappedKey wrapped{deks[0].kek_id(), deks[0].algorithm(), deks[0].ciphertext()};
  if (vault.Unwrap({}, wrapped, absl::InfiniteFuture()).ok()) return absl::OkStatus();
  return StateInvalid(
      "the platform.key of the data directory is not that of the server the backup was taken "
      "from: hubs under the platform's key would stay closed. Stop the server if one runs, put "
      "that file in the place of this one, start it, and restore again");
}

absl::Status MakeHubsFit(store::ShardSet& shards, const PurgedHubs& purged,
                         const RestoreTarget& target, absl::Time now, StagedBackup& staged) {
  const store::HubsTable hubs(shards);
  const store::Partition catalog = store::CatalogPartition();
  std::unique_ptr<vault::PlatformKeyVault> platform;
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    std::vector<store::Partition> kept;
    for (const HubRecord& record : records) {
      if (record.state() == storage::v1::HUB_STATE_PURGED) continue;
      if (const auto receipt = purged.find(record.uid()); receipt != purged.end()) {
        CMK_RETURN_IF_ERROR(LeaveOut(shards, record, receipt->second, now));
        ++staged.purged_hubs;
        continue;
      }
      ++staged.hubs;
      kept.push_back(HubDirectory::MakeEntry(record)->partition);
      if (!record.platform_managed()) continue;
      if (platform == nullptr) {
        CMK_ASSIGN_OR_RETURN(platform, vault::PlatformKeyVault::Open(PlatformKeyOf(target)));
      }
      CMK_RETURN_IF_ERROR(TryPlatformKey(shards, record, *platform));
    }
    // The server that went on behind the backup has given numbers that it does not know of, and so
    // may an earlier restore of it have. None has made a commit each microsecond since 1970.
    const auto floor = static_cast<store::Sequence>(absl::ToUnixMicros(now));
    CMK_RETURN_IF_ERROR(store::SkipSequences(shards, kept, floor));
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  return absl::OkStatus();
}

// What the server that took the backup was doing itself is no work of the one that restores it.
absl::Status ForgetServerOperations(store::ShardSet& shards) {
  const store::Partition catalog = store::CatalogPartition();
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const auto records,
                         store::OperationsTable(shards).List(catalog, kRowsAtOnce));
    CMK_ASSIGN_OR_RETURN(const auto pending,
                         store::PendingOperationsTable(shards).ListOfHub(HubUid(), kRowsAtOnce));
    store::WriteSet writes;
    for (const auto& record : records) store::OperationsTable::Delete(writes, record.operation());
    for (const auto& one : pending) {
      store::PendingOperationsTable::Delete(writes, HubUid(), one.operation());
    }
    store::RestoreTable::Delete(writes);
    CMK_RETURN_IF_ERROR(Write(shards, catalog, std::move(writes)));
    if (std::max(records.size(), pending.size()) < kRowsAtOnce) return absl::OkStatus();
  }
}

}  // namespace

absl::Status CheckRestore(const BackupOptions& options, const std::string& id,
                          const RestoreTarget& target) {
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options.directory));
  CMK_ASSIGN_OR_RETURN(const BackupManifest manifest, store.Read(id));
  CMK_RETURN_IF_ERROR(CheckFits(manifest, target));
  return PurgeReceipts(options).ReadAll().status();
}

absl::StatusOr<StagedBackup> StageBackup(const BackupOptions& options, const std::string& id,
                                         const RestoreTarget& target, const std::string& path,
                                         Clock& clock, const WorkWatch& watch) {
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options.directory));
  CMK_ASSIGN_OR_RETURN(const BackupManifest manifest, store.Read(id));
  CMK_RETURN_IF_ERROR(CheckFits(manifest, target));
  CMK_ASSIGN_OR_RETURN(const std::shared_ptr<void> held, store.Hold(id));
  CMK_ASSIGN_OR_RETURN(const PurgedHubs purged, PurgeReceipts(options).ReadAll());
  uint64_t total = 0, done = 0;
  for (const storage::v1::BackupFile& file : manifest.files()) total += file.size();
  Pace pace(clock, options.bytes_per_second, watch.go_on);
  CMK_RETURN_IF_ERROR(store.CopyOut(manifest, path, [&](uint64_t bytes) {
    done += bytes;
    watch.progress(done, total);
    return pace.Spent(bytes);
  }));
  StagedBackup staged;
  CMK_ASSIGN_OR_RETURN(staged.shards, OpenAside(path, target.shards));
  CMK_RETURN_IF_ERROR(ForgetServerOperations(*staged.shards));
  CMK_RETURN_IF_ERROR(MakeHubsFit(*staged.shards, purged, target, clock.WallNow(), staged));
  return staged;
}

absl::StatusOr<StagedBackup> RestoreOffline(const BackupOptions& options, const std::string& id,
                                            const RestoreTarget& target, Clock& clock,
                                            const WorkWatch& watch) {
  if (HasShards(target.data_dir)) {
    return StateInvalid(
        "the data directory has shards; a restore goes into an empty one: move them away first");
  }
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(target.data_dir));
  const ScratchDirectory scratch(OfflineScratchOf(target.data_dir));
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(scratch.path()));
  CMK_ASSIGN_OR_RETURN(StagedBackup staged,
                       StageBackup(options, id, target, scratch.path(), clock, watch));
  staged.shards.reset();
  const std::string shards = target.data_dir + "/shards";
  std::error_code failed;
  // Their place in the change feed is of another time.
  fs::remove_all(target.data_dir + "/indexes", failed);
  fs::remove(shards, failed);
  fs::rename(scratch.path(), shards, failed);
  if (failed) return StateInvalid("the restored shards cannot be moved into the data directory");
  CMK_RETURN_IF_ERROR(SyncDirectory(target.data_dir));
  return staged;
}

absl::Status CheckNoUnfinishedRestore(const std::string& data_dir) {
  std::error_code failed;
  if (!fs::exists(OfflineScratchOf(data_dir), failed) || HasShards(data_dir)) {
    return absl::OkStatus();
  }
  return StateInvalid(
      "the data directory has a restore that was not finished, and nothing to serve yet: repeat "
      "`cmkstored --config FILE --restore BACKUP`, or, to begin an empty store instead, remove "
      "restore-offline from the data directory");
}

}  // namespace cmkstore::service
