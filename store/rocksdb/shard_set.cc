#include "store/rocksdb/shard_set.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/write_buffer_manager.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
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

}  // namespace

ShardSet::ShardSet(std::shared_ptr<rocksdb::Cache> block_cache,
                   std::vector<std::unique_ptr<Shard>> shards)
    : block_cache_(std::move(block_cache)), shards_(std::move(shards)) {}

ShardSet::~ShardSet() = default;

absl::StatusOr<std::unique_ptr<ShardSet>> ShardSet::Open(const ShardSetOptions& options) {
  return Open(options, *rocksdb::Env::Default());
}

absl::StatusOr<std::unique_ptr<ShardSet>> ShardSet::Open(const ShardSetOptions& options,
                                                         rocksdb::Env& env) {
  std::error_code ignored;
  std::filesystem::create_directories(options.directory, ignored);
  const bool made_before = std::filesystem::exists(ShardPath(options.directory, 0));
  const bool last_is_there =
      std::filesystem::exists(ShardPath(options.directory, options.shards - 1));
  const bool next_is_there = std::filesystem::exists(ShardPath(options.directory, options.shards));
  if (made_before && (!last_is_there || next_is_there)) {
    return StateInvalid("the data directory was made with another number of shards");
  }
  ShardResources resources;
  resources.env = &env;
  resources.resume_interval = options.resume_interval;
  resources.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  resources.write_buffers =
      std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  resources.rate_limiter.reset(
      rocksdb::NewGenericRateLimiter(static_cast<int64_t>(options.background_bytes_per_second),
                                     100'000, 10, rocksdb::RateLimiter::Mode::kWritesOnly, true));
  // The first shard is made last: where it is, all are, also after a kill in the first start.
  std::vector<std::unique_ptr<Shard>> shards(options.shards);
  for (uint32_t i = options.shards; i-- > 0;) {
    CMK_ASSIGN_OR_RETURN(shards[i],
                         Shard::Open(ShardPath(options.directory, i), resources, options.limits));
  }
  return std::unique_ptr<ShardSet>(new ShardSet(resources.block_cache, std::move(shards)));
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
  const rocksdb::Status status =
      db->Get(rocksdb::ReadOptions(), FullKey(partition, key), &value);
  if (status.IsNotFound()) return std::nullopt;
  CMK_RETURN_IF_ERROR(FromRocks(status));
  return value;
}

absl::StatusOr<std::vector<std::optional<std::string>>> ShardSet::MultiGet(
    const Partition& partition, const std::vector<std::string>& keys) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard->db());
  std::vector<std::string> full;
  full.reserve(keys.size());
  for (const std::string& key : keys) full.push_back(FullKey(partition, key));
  const std::vector<rocksdb::Slice> slices(full.begin(), full.end());
  std::vector<std::string> values;
  const std::vector<rocksdb::Status> statuses =
      db->MultiGet(rocksdb::ReadOptions(), slices, &values);
  std::vector<std::optional<std::string>> rows(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    CMK_RETURN_IF_ERROR(FromRocks(statuses[i]));
    rows[i] = std::move(values[i]);
  }
  return rows;
}

absl::StatusOr<std::vector<Row>> ShardSet::Scan(const Partition& partition, const KeyRange& range,
                                                size_t limit) const {
  CMK_ASSIGN_OR_RETURN(const Shard* shard, ShardOf(partition));
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, shard->db());
  const std::string end = FullKey(partition, range.end);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(options));
  std::vector<Row> rows;
  for (iterator->Seek(FullKey(partition, range.begin)); iterator->Valid() && rows.size() < limit;
       iterator->Next()) {
    rocksdb::Slice key = iterator->key();
    key.remove_prefix(partition.prefix.size());
    rows.push_back({key.ToString(), iterator->value().ToString()});
  }
  CMK_RETURN_IF_ERROR(FromRocks(iterator->status()));
  return rows;
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

size_t ShardSet::NudgeStopped() {
  size_t stopped = 0;
  for (const auto& shard : shards_) {
    if (shard->accepting()) continue;
    ++stopped;
    shard->Nudge();
  }
  return stopped;
}

std::vector<ShardState> ShardSet::States() const {
  std::vector<ShardState> states;
  for (const auto& shard : shards_) states.push_back(shard->State());
  return states;
}

size_t ShardSet::block_cache_bytes() const { return block_cache_->GetUsage(); }

}  // namespace cmkstore::store
