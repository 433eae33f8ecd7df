#include "store/rocksdb/shard_set.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/private_directory.h"
#include "base/status_macros.h"
#include "store/key_layout.h"
#include "store/partition.h"
#include "store/rocksdb/rocks_status.h"
#include "store/rocksdb/shard.h"

namespace cmkstore::store {
namespace {

std::string FullKey(const Partition& partition, absl::string_view key) {
  std::string full;
  full.reserve(partition.prefix.size() + key.size());
  full.append(partition.prefix);
  full.append(key.data(), key.size());
  return full;
}

std::string ShardPath(const std::string& directory, uint32_t shard) {
  return absl::StrCat(directory, "/shard-", shard);
}

// Whether there is a database of that shard.
absl::StatusOr<bool> IsMade(const std::string& directory, uint32_t shard) {
  std::error_code failed;
  const bool made = std::filesystem::exists(ShardPath(directory, shard) + "/CURRENT", failed);
  if (failed) {
    return StateInvalid(absl::StrCat("the data directory cannot be read: ", failed.message()));
  }
  return made;
}

// Which shards were made before. Errors: STATE_INVALID when there are as many as another number of
// shards has.
absl::StatusOr<std::vector<bool>> MadeBefore(const ShardSetOptions& options) {
  std::vector<bool> made(options.shards);
  uint32_t there = 0, first = 0;  // all; those before the first that is not
  for (uint32_t i = 0; i < options.shards; ++i) {
    CMK_ASSIGN_OR_RETURN(const bool one, IsMade(options.directory, i));
    made[i] = one;
    there += one ? 1 : 0;
    if (one && first == i) ++first;
  }
  bool more = false;
  if (first == options.shards) {
    CMK_ASSIGN_OR_RETURN(more, IsMade(options.directory, first));
  }
  const bool fewer = first > 0 && first == there && there < options.shards;
  if (!more && !fewer) return made;
  while (more && IsMade(options.directory, there).value_or(false)) ++there;
  return StateInvalid(absl::StrCat(
      "the data directory has ", there, " shards, and this server is to have ", options.shards,
      ": set store.shards: ", there, ", which is fixed when a data directory is made",
      fewer ? "; if it had more, some are lost: restore the newest backup" : ""));
}

absl::Status ShardIsMissing(uint32_t shard) {
  return StoreCorrupt(absl::StrCat("shard-", shard,
                                   " is missing from the data directory, and the others hold what "
                                   "was written: mount it, or restore the newest backup"));
}

// Damage says where it is: who starts a server may see no more than the message.
absl::Status FromShard(uint32_t shard, const rocksdb::Status& status) {
  const absl::Status sorted = FromRocks(status);
  return absl::IsDataLoss(sorted) ? Annotate(sorted, absl::StrCat("shard-", shard)) : sorted;
}

rocksdb::ReadOptions WithinPrefix() {
  rocksdb::ReadOptions options;
  options.prefix_same_as_start = true;
  return options;
}

rocksdb::ReadOptions AllInOrder() {
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;
  return options;
}

// Adds to `rows`, also before an error.
absl::Status ReadRange(rocksdb::DB& db, const Partition& partition, const KeyRange& range,
                       const ReadLimit& limit, std::vector<Row>& rows) {
  const std::string end = FullKey(partition, range.end);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions options = WithinPrefix();
  options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> iterator(db.NewIterator(options));
  size_t bytes = 0;
  for (iterator->Seek(FullKey(partition, range.begin));
       iterator->Valid() && rows.size() < limit.rows && bytes < limit.bytes; iterator->Next()) {
    rocksdb::Slice key = iterator->key();
    key.remove_prefix(partition.prefix.size());
    rows.push_back({key.ToString(), iterator->value().ToString()});
    bytes += rows.back().value.size();
  }
  return FromShard(partition.shard, iterator->status());
}

}  // namespace

ShardSet::ShardSet(std::shared_ptr<rocksdb::Cache> block_cache,
                   std::vector<std::unique_ptr<Shard>> shards, absl::Duration cut_wait)
    : block_cache_(std::move(block_cache)), shards_(std::move(shards)), cut_wait_(cut_wait) {}

ShardSet::~ShardSet() = default;

absl::StatusOr<std::unique_ptr<ShardSet>> ShardSet::Open(const ShardSetOptions& options) {
  (void)MakePrivateDirectory(options.directory);  // what comes next says that it is not there
  CMK_ASSIGN_OR_RETURN(const std::vector<bool> made, MadeBefore(options));
  ShardResources resources;
  resources.env = options.env == nullptr ? rocksdb::Env::Default() : options.env;
  resources.resume_interval = options.resume_interval;
  resources.proving_time = options.proving_time;
  resources.max_open_files = options.max_open_files;
  resources.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  resources.write_buffers =
      std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  resources.rate_limiter.reset(
      rocksdb::NewGenericRateLimiter(static_cast<int64_t>(options.background_bytes_per_second),
                                     100'000, 10, rocksdb::RateLimiter::Mode::kWritesOnly, true));
  std::vector<std::unique_ptr<Shard>> shards(options.shards);
  const auto open = [&](uint32_t i) -> absl::Status {
    absl::StatusOr<std::unique_ptr<Shard>> opened =
        Shard::Open(ShardPath(options.directory, i), resources, options.limits);
    CMK_RETURN_IF_ERROR(Annotate(opened.status(), absl::StrCat("shard-", i, " does not open")));
    shards[i] = *std::move(opened);
    return absl::OkStatus();
  };
  bool written = false;
  for (uint32_t i = 0; i < options.shards; ++i) {
    if (!made[i]) continue;
    CMK_RETURN_IF_ERROR(open(i));
    written = written || shards[i]->HasWrites();
  }
  // From the last to the first, so that a kill in the first start leaves what MadeBefore knows.
  for (uint32_t i = options.shards; i-- > 0;) {
    if (made[i]) continue;
    if (written) return ShardIsMissing(i);
    CMK_RETURN_IF_ERROR(open(i));
  }
  return std::unique_ptr<ShardSet>(
      new ShardSet(resources.block_cache, std::move(shards), options.cut_wait));
}

absl::StatusOr<Shard*> ShardSet::ShardOf(const Partition& partition) const {
  CMK_RETURN_IF_ERROR(CheckPartition(partition, shard_count()));
  return shards_[partition.shard].get();
}

absl::StatusOr<std::optional<std::string>> ShardSet::Get(const Partition& partition,
                                                         absl::string_view key) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard->db());
  std::string value;
  const rocksdb::Status status = db->Get(rocksdb::ReadOptions(), FullKey(partition, key), &value);
  if (status.IsNotFound()) return std::nullopt;
  CMK_RETURN_IF_ERROR(FromShard(partition.shard, status));
  return value;
}

absl::StatusOr<std::vector<std::optional<std::string>>> ShardSet::MultiGet(
    const Partition& partition, const std::vector<std::string>& keys, size_t enough_bytes) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard->db());
  std::vector<std::string> full;
  full.reserve(keys.size());
  for (const std::string& key : keys) full.push_back(FullKey(partition, key));
  const std::vector<rocksdb::Slice> slices(full.begin(), full.end());
  std::vector<std::string> values;
  rocksdb::ReadOptions options;
  options.value_size_soft_limit = enough_bytes;
  const std::vector<rocksdb::Status> statuses = db->MultiGet(options, slices, &values);
  std::vector<std::optional<std::string>> rows(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    if (statuses[i].IsAborted()) {  // beyond the limit, as all behind it
      rows.resize(i);
      break;
    }
    CMK_RETURN_IF_ERROR(FromShard(partition.shard, statuses[i]));
    rows[i] = std::move(values[i]);
  }
  return rows;
}

absl::StatusOr<std::vector<Row>> ShardSet::Scan(const Partition& partition, const KeyRange& range,
                                                ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard->db());
  std::vector<Row> rows;
  CMK_RETURN_IF_ERROR(ReadRange(*db, partition, range, limit, rows));
  return rows;
}

absl::StatusOr<ReadableRows> ShardSet::ScanReadable(const Partition& partition,
                                                    const KeyRange& range, ReadLimit limit) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard->db());
  ReadableRows found;
  const absl::Status read = ReadRange(*db, partition, range, limit, found.rows);
  if (!HasReason(read, "STORE_CORRUPT")) {
    CMK_RETURN_IF_ERROR(read);
    return found;
  }
  const std::string begin = found.rows.empty() ? range.begin : After(found.rows.back().key);
  found.behind_damage =
      FindGap(*db, WithinPrefix(), FullKey(partition, begin), FullKey(partition, range.end))
          .end.substr(partition.prefix.size());
  return found;
}

void ShardSet::Apply(const Partition& partition, WriteSet writes, Done done) {
  absl::StatusOr<Shard*> shard = ShardOf(partition);
  if (!shard.ok()) {
    done(shard.status());
    return;
  }
  (*shard)->Apply(partition.prefix, std::move(writes), std::move(done));
}

absl::StatusOr<Sequence> ShardSet::LastSequence(const Partition& partition) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  return shard->LastSequence(partition.prefix);
}

absl::Status ShardSet::DropPartition(const Partition& partition) {
  CMK_ASSIGN_OR_RETURN(Shard * shard, ShardOf(partition));
  return shard->DropPartition(partition.prefix);
}

void ShardSet::StopGivingSpaceBack() {
  for (const auto& shard : shards_) shard->StopGivingSpaceBack();
}

absl::Status ShardSet::Cut(const std::string& directory, bool despite_damage) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return StoreFull();
  for (const auto& shard : shards_) {
    const absl::Status flushed = shard->Flush();
    if (!flushed.ok() && !(despite_damage && absl::IsDataLoss(flushed))) return flushed;
  }
  ShardMeeting meeting(shards_.size(), cut_wait_);
  std::vector<absl::Status> results(shards_.size());
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < shard_count(); ++i) {
    threads.emplace_back(
        [&, i] { results[i] = shards_[i]->Cut(ShardPath(directory, i), meeting); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) CMK_RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Row>> ShardSet::ReadRows(uint32_t shard, const std::string& after,
                                                    size_t max_bytes) const {
  CMK_ASSIGN_OR_RETURN(const Shard* owner, ShardOf({shard, CatalogPartition().prefix}));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, owner->db());
  const std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(AllInOrder()));
  std::vector<Row> rows;
  size_t bytes = 0;
  for (iterator->Seek(After(after)); iterator->Valid() && bytes < max_bytes; iterator->Next()) {
    rows.push_back({iterator->key().ToString(), iterator->value().ToString()});
    bytes += rows.back().key.size() + rows.back().value.size();
  }
  if (rows.empty()) CMK_RETURN_IF_ERROR(FromRocks(iterator->status()));
  return rows;
}

absl::StatusOr<UnreadableGap> ShardSet::GapBehind(uint32_t shard, const std::string& after) const {
  CMK_ASSIGN_OR_RETURN(const Shard* owner, ShardOf({shard, CatalogPartition().prefix}));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, owner->db());
  const std::string beyond_all(HubUid::kBytes, '\xff');
  return FindGap(*db, AllInOrder(), After(after), beyond_all);
}

absl::Status ShardSet::WriteRows(uint32_t shard, const std::vector<Row>& rows) {
  CMK_ASSIGN_OR_RETURN(Shard * owner, ShardOf({shard, CatalogPartition().prefix}));
  return owner->WriteRows(rows);
}

absl::StatusOr<std::vector<TableFile>> ShardSet::TableFiles() const {
  std::vector<TableFile> files;
  for (uint32_t i = 0; i < shard_count(); ++i) {
    CMK_ASSIGN_OR_RETURN(std::vector<TableFile> more, ListTableFiles(i, *shards_[i]));
    std::move(more.begin(), more.end(), std::back_inserter(files));
  }
  return files;
}

absl::StatusOr<FileCheck> ShardSet::VerifyFiles(const PaceFunction& pace,
                                                const DamageFunction& damaged) const {
  FileCheck check;
  absl::Status all_looked_at;
  for (uint32_t i = 0; i < shard_count(); ++i) {
    const absl::Status looked_at = VerifyTableFiles(i, *shards_[i], pace, damaged, check);
    if (!looked_at.ok() && !HasReason(looked_at, "STORE_BUSY")) return looked_at;
    all_looked_at.Update(looked_at);
  }
  if (!all_looked_at.ok()) return all_looked_at;
  return check;
}

size_t ShardSet::NudgeStopped() {
  size_t stopped = 0;
  for (const auto& shard : shards_) {
    stopped += shard->refusing() ? 1 : 0;
    if (!shard->accepting()) shard->Nudge();
  }
  return stopped;
}

std::vector<ShardState> ShardSet::States() const {
  std::vector<ShardState> states;
  states.reserve(shards_.size());
  for (const auto& shard : shards_) states.push_back(shard->State());
  return states;
}

size_t ShardSet::block_cache_bytes() const { return block_cache_->GetUsage(); }

}  // namespace cmkstore::store
