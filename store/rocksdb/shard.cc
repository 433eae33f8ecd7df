#include "store/rocksdb/shard.h"

#include <rocksdb/utilities/checkpoint.h>

#include <limits>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "store/key_layout.h"
#include "store/rocksdb/rocks_status.h"

namespace cmkstore::store {
namespace {

// Sequences of partitions that are remembered; beyond, the map is emptied and filled again from the
// rows.
constexpr size_t kMaxRememberedPartitions = 100'000;

}  // namespace

absl::StatusOr<std::unique_ptr<Shard>> Shard::Open(const std::string& path,
                                                   const ShardResources& resources,
                                                   const CommitLimits& limits) {
  CMK_ASSIGN_OR_RETURN(std::unique_ptr<ShardDatabase> database,
                       ShardDatabase::Open(path, resources));
  CMK_ASSIGN_OR_RETURN(DatabasePtr db, database->Use());
  const bool is_new = db->GetLatestSequenceNumber() == 0;
  CMK_ASSIGN_OR_RETURN(HighWater high_water, HighWater::Open(path + "/HIGH_WATER", is_new));
  if (db->GetLatestSequenceNumber() < high_water.Read()) {
    return StoreCorrupt(
        "a shard opened with fewer writes than were acknowledged: its write-ahead log is damaged; "
        "restore it from a backup");
  }
  return std::unique_ptr<Shard>(
      new Shard(std::move(database), std::move(db), std::move(high_water), resources, limits));
}

Shard::Shard(std::unique_ptr<ShardDatabase> database, DatabasePtr db, HighWater high_water,
             const ShardResources& resources, const CommitLimits& limits)
    : database_(std::move(database)),
      resume_interval_(resources.resume_interval),
      proving_time_(resources.proving_time),
      db_(std::move(db)),
      high_water_(std::move(high_water)),
      acknowledged_(db_->GetLatestSequenceNumber()),
      queue_(limits, [this](CommitQueue::Run run) { Commit(run); }) {}

void Shard::Apply(std::string prefix, WriteSet writes, Engine::Done done) {
  queue_.Push({std::move(prefix), std::move(writes), std::move(done)});
}

void Shard::Nudge() {
  queue_.Push({"", WriteSet(), [](const absl::StatusOr<Sequence>&) {},
               /*alone=*/[] { return absl::OkStatus(); }});
}

ShardState Shard::State() const {
  ShardState state;
  state.accepting = accepting();
  std::tie(state.queued_writes, state.queued_bytes) = queue_.Depth();
  state.commits = &stats_;
  const absl::StatusOr<DatabasePtr> db = database_->Use();
  for (size_t i = 0; db.ok() && i < kRocksProperties.size(); ++i) {
    (*db)->GetIntProperty(std::string(kRocksProperties[i].property), &state.rocks[i]);
  }
  return state;
}

void Shard::Commit(CommitQueue::Run run) {
  if (stopped_.has_value()) TryResume();
  if (resumed_.has_value()) EndFailure();
  if (stopped_.has_value()) {
    for (QueuedCommit& one : run) one.done(*stopped_);
  } else if (run.front().alone) {
    const absl::Status ended = run.front().alone();
    run.front().done(ended.ok() ? absl::StatusOr<Sequence>(0) : ended);
  } else {
    CommitWrites(run);
  }
}

void Shard::CommitWrites(CommitQueue::Run run) {
  std::vector<absl::StatusOr<Sequence>> results;
  results.reserve(run.size());
  CommitBatch batch(*db_, sequences_);
  for (const QueuedCommit& one : run) results.push_back(batch.Add(one));
  if (!batch.empty()) {
    stats_.batch_size.ObserveSize(run.size());
    if (const absl::Status written = Write(batch.Finish()); written.ok()) {
      if (sequences_.size() > kMaxRememberedPartitions) sequences_.clear();
      for (const auto& [prefix, sequence] : batch.sequences()) sequences_[prefix] = sequence;
    } else {
      for (absl::StatusOr<Sequence>& result : results) {
        if (result.ok()) result = written;
      }
    }
  }
  for (size_t i = 0; i < run.size(); ++i) {
    (results[i].ok() ? stats_.committed : stats_.refused).Add();
    run[i].done(std::move(results[i]));
  }
}

absl::Status Shard::CommitDrop(const std::string& prefix) {
  rocksdb::WriteBatch batch;
  CMK_RETURN_IF_ERROR(FromRocks(batch.DeleteRange(prefix, EndOfPrefix(prefix))));
  CMK_RETURN_IF_ERROR(Write(batch));
  sequences_.erase(prefix);
  return absl::OkStatus();
}

absl::Status Shard::WriteRows(const std::vector<Row>& rows) {
  return queue_.RunAlone([&]() -> absl::Status {
    rocksdb::WriteBatch batch;
    for (const Row& row : rows) CMK_RETURN_IF_ERROR(FromRocks(batch.Put(row.key, row.value)));
    CMK_RETURN_IF_ERROR(Write(batch));
    sequences_.clear();
    return absl::OkStatus();
  });
}

absl::Status Shard::Flush() {
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, database_->Use());
  return FromRocks(db->Flush(rocksdb::FlushOptions()));
}

absl::Status Shard::Cut(const std::string& path, ShardMeeting& meeting) {
  absl::Status cut = queue_.RunAlone([&]() -> absl::Status {
    // Every shard stands still here until each has its copy: nobody is told of a commit behind the
    // cut of one shard that another shard's cut could depend on.
    if (!meeting.Meet()) return StoreBusy();
    absl::Status copied = CopyTo(path);
    if (!copied.ok()) meeting.Abandon();
    return meeting.Meet() ? copied : (copied.ok() ? StoreBusy() : copied);
  });
  if (!cut.ok()) meeting.Abandon();
  return cut;
}

absl::Status Shard::CopyTo(const std::string& path) {
  rocksdb::Checkpoint* made = nullptr;
  CMK_RETURN_IF_ERROR(FromRocks(rocksdb::Checkpoint::Create(db_.get(), &made)));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // Without a flush: the log that it copies is short, for the tables were flushed just before.
  constexpr uint64_t kNeverFlush = std::numeric_limits<uint64_t>::max();
  CMK_RETURN_IF_ERROR(FromRocks(checkpoint->CreateCheckpoint(path, kNeverFlush)));
  CMK_ASSIGN_OR_RETURN(HighWater high_water, HighWater::Open(path + "/HIGH_WATER", true));
  high_water.Write(acknowledged_);
  return absl::OkStatus();
}

absl::Status Shard::Write(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions options;
  options.sync = true;
  const absl::Time began = clock_.MonotonicNow();
  const rocksdb::Status written = db_->Write(options, &batch);
  stats_.sync_time.Observe(clock_.MonotonicNow() - began);
  if (!written.ok()) {
    stats_.failed.Add();
    stopped_ = FromRocksWrite(written);
    db_ = nullptr;
    refusing_.store(true, std::memory_order_relaxed);
    if (resumed_.has_value() && accepting()) Log(LogLevel::kError, "store_fails_again", {});
    accepting_.store(false, std::memory_order_relaxed);
    next_resume_ = clock_.MonotonicNow() + resume_interval_;
    return *stopped_;
  }
  acknowledged_ = db_->GetLatestSequenceNumber();
  high_water_.Write(acknowledged_);
  return absl::OkStatus();
}

void Shard::TryResume() {
  if (clock_.MonotonicNow() < next_resume_) return;
  const absl::Status reopened = database_->Reopen(acknowledged_);
  absl::StatusOr<DatabasePtr> opened = reopened.ok() ? database_->Use() : reopened;
  if (!opened.ok()) {
    stopped_ = opened.status();
    next_resume_ = clock_.MonotonicNow() + resume_interval_;
    return;
  }
  db_ = *std::move(opened);
  stopped_.reset();
  const bool again = resumed_.has_value();
  resumed_ = clock_.MonotonicNow();
  if (!again) Resumed();
  refusing_.store(false);
}

void Shard::EndFailure() {
  if (stopped_.has_value() || clock_.MonotonicNow() < *resumed_ + proving_time_) return;
  // What a compaction met, only the next write is told.
  uint64_t errors = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kBackgroundErrors, &errors);
  if (errors > 0) return;
  resumed_.reset();
  if (!accepting()) Resumed();
}

void Shard::Resumed() {
  Log(LogLevel::kInfo, "store_resumed", {});
  accepting_.store(true, std::memory_order_relaxed);
}

absl::StatusOr<Sequence> Shard::LastSequence(absl::string_view prefix) const {
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, database_->Use());
  CMK_ASSIGN_OR_RETURN(std::optional<std::string> state,
                       ReadRow(*db, std::string(prefix) + PartitionStateKey()));
  return state.has_value() ? ReadU64(*state) : 0;
}

absl::Status Shard::DropPartition(const std::string& prefix) {
  const std::string end = EndOfPrefix(prefix);
  if (end.empty()) return InvariantBroken("a partition at the end of the key space");
  CMK_RETURN_IF_ERROR(queue_.RunAlone([&] { return CommitDrop(prefix); }));
  // On the caller's thread: rewriting the files may take long, and commits go on meanwhile.
  CMK_ASSIGN_OR_RETURN(const DatabasePtr db, database_->Use());
  const rocksdb::Slice from(prefix), to(end);
  rocksdb::CompactRangeOptions options;
  options.canceled = &stopping_;
  const rocksdb::Status compacted = db->CompactRange(options, &from, &to);
  return stopping_ && compacted.IsIncomplete() ? StoreBusy() : FromRocks(compacted);
}

}  // namespace cmkstore::store
