#include "service/backup/verify.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "search/index_files.h"
#include "service/backup/backup_store.h"
#include "service/backup/cut.h"
#include "service/backup/pace.h"
#include "store/integrity_walk.h"

namespace cmkstore::service {
namespace {

constexpr size_t kRowBytesAtOnce = 4u << 20;
constexpr uint64_t kMaxFindings = 100;
constexpr v1::IntegrityFindingKind kStore = v1::INTEGRITY_FINDING_KIND_STORE;
constexpr v1::IntegrityFindingKind kIndex = v1::INTEGRITY_FINDING_KIND_INDEX;

void AddFinding(v1::VerifyIntegrityResult& result, v1::IntegrityFindingKind kind,
                store::IntegrityFinding found) {
  result.set_finding_count(result.finding_count() + 1);
  if (result.finding_count() > kMaxFindings) return;
  const std::string hub =
      found.hub.empty() ? "" : absl::StrCat("tenants/", found.tenant, "/hubs/", found.hub);
  Log(LogLevel::kError, "integrity_finding",
      {{"shard", absl::StrCat(found.shard)},
       {"hub_uid", found.hub_uid},
       {"hub", hub},
       {"detail", found.what}});
  v1::IntegrityFinding& finding = *result.add_findings();
  finding.set_kind(kind);
  finding.set_hub(hub);
  finding.set_shard(found.shard);
  finding.set_hub_uid(std::move(found.hub_uid));
  finding.set_what(std::move(found.what));
}

// Of "shard-2/000123.sst".
uint32_t ShardOf(absl::string_view path) {
  uint32_t shard = 0;
  if (absl::ConsumePrefix(&path, "shard-")) {
    (void)absl::SimpleAtoi(path.substr(0, path.find('/')), &shard);
  }
  return shard;
}

absl::Status WalkShard(const store::ShardSet& cut, uint32_t shard, store::IntegrityWalk& walk,
                       const store::PaceFunction& looked) {
  walk.BeginShard(shard);
  std::string after;
  for (;;) {
    const absl::StatusOr<std::vector<store::Row>> rows =
        cut.ReadRows(shard, after, kRowBytesAtOnce);
    if (HasReason(rows.status(), "STORE_CORRUPT")) {
      CMK_ASSIGN_OR_RETURN(store::UnreadableGap gap, cut.GapBehind(shard, after));
      walk.SkipUnreadable(gap.bytes);
      after = std::move(gap.end);
      CMK_RETURN_IF_ERROR(looked(gap.bytes));
      continue;
    }
    if (!rows.ok()) return rows.status();
    if (rows->empty()) break;
    uint64_t bytes = 0;
    for (const store::Row& row : *rows) {
      walk.Add(row.key, row.value);
      bytes += row.key.size() + row.value.size();
    }
    after = rows->back().key;
    CMK_RETURN_IF_ERROR(looked(bytes));
  }
  walk.EndShard();
  return absl::OkStatus();
}

// Files that lie among the indexes and that no index of a hub will ever be opened from.
void FindStrayIndexFiles(const std::vector<std::string>& names, const store::IntegrityWalk& walk,
                         search::IndexSet& indexes, v1::VerifyIntegrityResult& result) {
  const auto find = [&result](std::string uid, absl::string_view name, absl::string_view what) {
    AddFinding(
        result, kIndex,
        {0, std::move(uid),
         absl::StrCat("indexes/", name, " ", what, ": nothing reads it; delete it"), "", ""});
  };
  std::set<std::string> told;  // uids
  for (const std::string& name : names) {
    const std::optional<HubUid> uid = search::HubOfIndexFile(name);
    if (!uid.has_value()) {
      find("", name, "is no file of an index");
      continue;
    }
    const auto hub = walk.hubs().find(uid->bytes());
    if (hub == walk.hubs().end() && told.insert(uid->ToHex()).second) {
      find(uid->ToHex(), name, "is of no hub of this server");
      continue;
    }
    // One whose purge is under way is about to lose it.
    if (hub == walk.hubs().end() || hub->second.purge().finish_time_micros() == 0) continue;
    if (indexes.FileBytes(*uid) > 0 && told.insert(uid->ToHex()).second) {
      find(uid->ToHex(), name, "is of a hub that was purged");
    }
  }
}

void LookAtIndexes(const store::IntegrityWalk& walk, search::IndexSet& indexes,
                   v1::VerifyIntegrityResult& result) {
  for (const auto& [raw, record] : walk.hubs()) {
    if (record.state() == storage::v1::HUB_STATE_PURGED) continue;
    const absl::StatusOr<HubUid> uid = HubUid::FromBytes(raw);
    if (!uid.ok()) continue;
    const std::optional<std::string> damage = indexes.DamageOf(*uid);
    if (!damage.has_value()) {
      const bool active = record.state() == storage::v1::HUB_STATE_ACTIVE;
      result.set_unbuilt_indexes(result.unbuilt_indexes() + (active ? 1 : 0));
      continue;
    }
    result.set_indexes(result.indexes() + 1);
    if (damage->empty()) continue;
    AddFinding(result, kIndex,
               {record.shard(), uid->ToHex(),
                absl::StrCat("its search index is damaged: ", *damage,
                             "; it is built again from the documents when the hub is used next, "
                             "and now by cmkctl index rebuild"),
                record.tenant(), record.hub()});
  }
}

}  // namespace

absl::Status VerifyServed(store::ShardSet& shards, search::IndexSet& indexes,
                          const std::string& data_dir, Clock& clock, const WorkWatch& watch,
                          v1::VerifyIntegrityResult& result) {
  // Before the cut: what lies there by then is of hubs that the cut has.
  CMK_ASSIGN_OR_RETURN(const std::vector<std::string> index_files, indexes.ListFiles());
  uint64_t total = 0, done = 0;
  for (const store::ShardState& state : shards.States()) total += 2 * state.table_bytes();
  const store::PaceFunction looked = [&](uint64_t bytes) {
    done = std::min(done + bytes, total);
    watch.progress(done, total);
    return watch.go_on();
  };
  const store::DamageFunction damaged = [&result](const store::DamagedTableFile& file) {
    AddFinding(result, kStore, {file.shard, "", file.what, "", ""});
  };
  const absl::StatusOr<store::FileCheck> files = shards.VerifyFiles(looked, damaged);
  // The cut may be made all the same, once the shard has been opened anew.
  if (!files.ok() && !HasReason(files.status(), "STORE_BUSY")) return files.status();
  if (files.ok()) {
    result.set_files(files->files);
    result.set_bytes(files->bytes);
  }
  const ScratchDirectory scratch(data_dir + "/cut-verify");
  CMK_RETURN_IF_ERROR(
      CutShards(shards, scratch.path(), clock, watch.go_on, /*despite_damage=*/true));
  CMK_ASSIGN_OR_RETURN(const auto cut, OpenAside(scratch.path(), shards.shard_count()));
  store::IntegrityWalk walk(
      [&](store::IntegrityFinding found) { AddFinding(result, kStore, std::move(found)); });
  for (uint32_t shard = 0; shard < cut->shard_count(); ++shard) {
    CMK_RETURN_IF_ERROR(WalkShard(*cut, shard, walk, looked));
  }
  walk.Finish();
  if (walk.knows_all_hubs()) FindStrayIndexFiles(index_files, walk, indexes, result);
  LookAtIndexes(walk, indexes, result);
  const store::IntegrityCounts& counts = walk.counts();
  result.set_rows(counts.rows);
  result.set_hubs(counts.hubs);
  result.set_documents(counts.documents);
  result.set_feed_records(counts.feed_records);
  result.set_unnamed_hubs(counts.unnamed_hubs);
  result.set_skipped_bytes(counts.skipped_bytes);
  return files.status();
}

void NoteEarlyEnd(const absl::Status& why, v1::VerifyIntegrityResult& result) {
  AddFinding(result, kStore,
             {0, "",
              absl::StrCat("this check has not looked at everything (", ReasonOf(why),
                           "): there may be more"),
              "", ""});
}

absl::StatusOr<v1::VerifyIntegrityResult> VerifyBackup(const BackupOptions& options,
                                                       const std::string& id, Clock& clock,
                                                       const WorkWatch& watch) {
  CMK_ASSIGN_OR_RETURN(const BackupStore store, BackupStore::Open(options.directory));
  CMK_ASSIGN_OR_RETURN(const storage::v1::BackupManifest manifest, store.Read(id));
  v1::VerifyIntegrityResult result;
  uint64_t total = 0, done = 0;
  for (const storage::v1::BackupFile& file : manifest.files()) total += file.size();
  result.set_files(static_cast<uint64_t>(manifest.files_size()));
  result.set_bytes(total);
  result.set_hubs(manifest.hubs());
  Pace pace(clock, options.bytes_per_second, watch.go_on);
  CMK_ASSIGN_OR_RETURN(const std::vector<std::string> damaged,
                       store.Verify(manifest, [&](uint64_t bytes) {
                         done += bytes;
                         watch.progress(done, total);
                         return pace.Spent(bytes);
                       }));
  // Files of a backup that was deleted meanwhile are no damage.
  if (!damaged.empty() && HasReason(store.Read(id).status(), "BACKUP_NOT_FOUND")) {
    return Annotate(NotFound("backup"),
                    absl::StrCat("backup ", id, " was deleted while it was verified"));
  }
  for (const std::string& path : damaged) {
    AddFinding(
        result, v1::INTEGRITY_FINDING_KIND_BACKUP,
        {ShardOf(path), "",
         absl::StrCat("backup ", id, ": ", path, " is missing, or its checksum does not match"), "",
         ""});
  }
  return result;
}

}  // namespace cmkstore::service
