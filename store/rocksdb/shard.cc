#include "store/rocksdb/shard.h"

#include <pthread.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "store/key_layout.h"
#include "store/rocksdb/rocks_status.h"

namespace cmkstore::store {
namespace {

constexpr size_t kPrefixBytes = HubUid::kBytes;
// Sequences of partitions that are remembered; beyond, the map is emptied and filled again from the
// rows.
constexpr size_t kMaxRememberedPartitions = 100'000;

// Settings for small incompressible values, and around the hazards of RocksDB 7.8: no async_io, no
// track_and_verify_wals_in_manifest, every write synced by Write itself.
rocksdb::Options ShardOptions(const ShardResources& resources) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kPrefixBytes));
  options.paranoid_checks = true;
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  options.max_total_wal_size = 64u << 20;
  options.wal_bytes_per_sync = 1u << 20;
  options.write_buffer_manager = resources.write_buffers;
  options.rate_limiter = resources.rate_limiter;
  // A torn tail is what a crash leaves; damage before it is reported instead of read as the end.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.max_open_files = 512;
  options.keep_log_file_num = 4;

  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.block_size = 16u << 10;
  table.block_cache = resources.block_cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::StatusOr<std::optional<std::string>> ReadRow(rocksdb::DB& db, const std::string& key) {
  std::string value;
  const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  CMK_RETURN_IF_ERROR(FromRocks(status));
  return value;
}

}  // namespace

// The batch in hand: what its write sets have written so far is what the next ones see.
class Shard::Batch {
 public:
  Batch(rocksdb::DB& db, absl::flat_hash_map<std::string, Sequence>& sequences)
      : db_(db), sequences_(sequences), batch_(0, 0, 8 /* protection bytes per key */, 0) {}

  // Adds a write set, or answers why it does not hold; then nothing of it is in the batch.
  absl::StatusOr<Sequence> Add(const Queued& queued) {
    for (const Precondition& condition : queued.writes.preconditions()) {
      CMK_RETURN_IF_ERROR(Check(queued.prefix + condition.key, condition));
    }
    CMK_ASSIGN_OR_RETURN(const Sequence last, Last(queued.prefix));
    const Sequence sequence = last + 1;
    for (const WriteSet::Write& write : queued.writes.writes()) {
      std::string key = queued.prefix + write.key;
      if (write.kind == WriteSet::Write::Kind::kPut) {
        batch_.Put(key, write.value);
        written_[std::move(key)] = &write.value;
      } else {
        batch_.Delete(key);
        written_[std::move(key)] = nullptr;
      }
    }
    if (!queued.writes.feed_record().empty()) {
      batch_.Put(queued.prefix + FeedKey(sequence), queued.writes.feed_record());
    }
    next_[queued.prefix] = sequence;
    return sequence;
  }

  rocksdb::Status Write() {
    for (const auto& [prefix, sequence] : next_) {
      std::string state;
      AppendU64(sequence, state);
      batch_.Put(prefix + PartitionStateKey(), state);
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = db_.Write(options, &batch_);
    if (!status.ok()) return status;
    if (sequences_.size() > kMaxRememberedPartitions) sequences_.clear();
    for (const auto& [prefix, sequence] : next_) sequences_[prefix] = sequence;
    return status;
  }

 private:
  absl::Status Check(const std::string& key, const Precondition& condition) {
    std::optional<std::string> stored;
    absl::string_view value;
    bool present = false;
    if (auto found = written_.find(key); found != written_.end()) {
      present = found->second != nullptr;
      if (present) value = *found->second;
    } else {
      CMK_ASSIGN_OR_RETURN(stored, ReadRow(db_, key));
      present = stored.has_value();
      if (present) value = *stored;
    }
    switch (condition.kind) {
      case Precondition::Kind::kAbsent: return present ? condition.error : absl::OkStatus();
      case Precondition::Kind::kPresent: return present ? absl::OkStatus() : condition.error;
      case Precondition::Kind::kBeginsWith:
        return present && absl::StartsWith(value, condition.bytes) ? absl::OkStatus()
                                                                   : condition.error;
    }
    return InvariantBroken("unknown precondition");
  }

  absl::StatusOr<Sequence> Last(const std::string& prefix) {
    if (auto found = next_.find(prefix); found != next_.end()) return found->second;
    if (auto found = sequences_.find(prefix); found != sequences_.end()) return found->second;
    CMK_ASSIGN_OR_RETURN(std::optional<std::string> state,
                         ReadRow(db_, prefix + PartitionStateKey()));
    return state.has_value() ? ReadU64(*state) : 0;
  }

  rocksdb::DB& db_;
  absl::flat_hash_map<std::string, Sequence>& sequences_;
  absl::flat_hash_map<std::string, Sequence> next_;
  absl::flat_hash_map<std::string, const std::string*> written_;  // null: deleted
  rocksdb::WriteBatch batch_;
};

absl::StatusOr<std::unique_ptr<Shard>> Shard::Open(const std::string& path,
                                                   const ShardResources& resources,
                                                   const ShardLimits& limits) {
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(ShardOptions(resources), path, &raw);
  if (opened.IsIOError() && absl::StrContains(opened.ToString(), "lock")) {
    return StateInvalid("the data directory is in use by another cmkstored");
  }
  CMK_RETURN_IF_ERROR(FromRocks(opened));
  std::unique_ptr<rocksdb::DB> db(raw);
  CMK_ASSIGN_OR_RETURN(HighWater high_water, HighWater::Open(path + "/HIGH_WATER"));
  if (db->GetLatestSequenceNumber() < high_water.Read()) {
    return StoreCorrupt(
        "a shard opened with fewer writes than were acknowledged: its write-ahead log is damaged; "
        "restore it from a backup");
  }
  return std::unique_ptr<Shard>(new Shard(std::move(db), std::move(high_water), limits));
}

Shard::Shard(std::unique_ptr<rocksdb::DB> db, HighWater high_water, const ShardLimits& limits)
    : db_(std::move(db)), limits_(limits), high_water_(std::move(high_water)) {
  thread_ = std::thread([this] { CommitLoop(); });
  pthread_setname_np(thread_.native_handle(), "commit");
}

Shard::~Shard() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  thread_.join();
}

void Shard::Apply(std::string prefix, WriteSet writes, Engine::Done done) {
  {
    absl::MutexLock lock(&mutex_);
    const size_t bytes = writes.size_bytes();
    const bool room = queue_.size() < limits_.max_queued_writes &&
                      queued_bytes_ + bytes <= limits_.max_queued_bytes;
    if (room && !stopped_) {
      queued_bytes_ += bytes;
      queue_.push_back({std::move(prefix), std::move(writes), std::move(done)});
      return;
    }
  }
  done(StoreBusy());
}

void Shard::CommitLoop() {
  std::vector<Queued> batch;
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &Shard::HasWork));
      if (queue_.empty()) return;
      batch.swap(queue_);
      queued_bytes_ = 0;
    }
    Commit(batch);
    batch.clear();
  }
}

void Shard::Commit(std::vector<Queued>& queued) {
  std::vector<absl::StatusOr<Sequence>> results;
  results.reserve(queued.size());
  Batch batch(*db_, sequences_);
  bool any = false;
  for (const Queued& one : queued) {
    results.push_back(broken_.has_value() ? absl::StatusOr<Sequence>(*broken_) : batch.Add(one));
    any = any || results.back().ok();
  }
  if (any) {
    if (const rocksdb::Status written = batch.Write(); written.ok()) {
      high_water_.Write(db_->GetLatestSequenceNumber());
    } else {
      const absl::Status failed = FromRocks(written);
      // Whether the failed batch is in the log is decided when it is next read: refuse everything
      // until then.
      broken_ = MakeError(absl::StatusCode::kUnavailable, ReasonOf(failed), failed.message());
      sequences_.clear();
      for (absl::StatusOr<Sequence>& result : results) {
        if (result.ok()) result = *broken_;
      }
    }
  }
  for (size_t i = 0; i < queued.size(); ++i) queued[i].done(std::move(results[i]));
}

absl::StatusOr<Sequence> Shard::LastSequence(absl::string_view prefix) const {
  CMK_ASSIGN_OR_RETURN(std::optional<std::string> state,
                       ReadRow(*db_, std::string(prefix) + PartitionStateKey()));
  return state.has_value() ? ReadU64(*state) : 0;
}

absl::Status Shard::DropPartition(absl::string_view prefix) {
  const std::string begin(prefix);
  std::string end = begin;
  while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return InvariantBroken("a partition at the end of the key space");
  end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  CMK_RETURN_IF_ERROR(FromRocks(db_->DeleteRange(synced, db_->DefaultColumnFamily(), begin, end)));
  const rocksdb::Slice from(begin), to(end);
  return FromRocks(db_->CompactRange(rocksdb::CompactRangeOptions(), &from, &to));
}

}  // namespace cmkstore::store
