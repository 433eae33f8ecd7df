#include "store/memory/memory_engine.h"

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "store/counter_row.h"
#include "store/key_layout.h"
#include "store/partition.h"

namespace cmkstore::store {
namespace {

std::string ShardedPrefix(const Partition& partition) {
  std::string prefix;
  AppendU64(partition.shard, prefix);
  return prefix + partition.prefix;
}

template <typename Rows>
std::optional<std::string> Find(const Rows& rows, absl::string_view key) {
  const auto found = rows.find(std::string(key));
  if (found == rows.end()) return std::nullopt;
  return found->second;
}

// What a precondition is about.
template <typename Rows>
std::optional<std::string> FindFor(const Rows& rows, const Precondition& condition) {
  if (condition.kind != Precondition::Kind::kNoneWithPrefix) return Find(rows, condition.key);
  const auto first = rows.lower_bound(condition.key);
  if (first == rows.end() || !absl::StartsWith(first->first, condition.key)) return std::nullopt;
  return first->second;
}

}  // namespace

MemoryEngine::MemoryEngine(uint32_t shards, const CommitLimits& limits)
    : shards_(shards), queue_(limits, [this](CommitQueue::Run run) { Commit(run); }) {}

const MemoryEngine::Rows& MemoryEngine::RowsOf(const std::string& prefix) const {
  static const Rows* const none = new Rows();
  const auto found = partitions_.find(prefix);
  return found == partitions_.end() ? *none : found->second;
}

absl::StatusOr<std::optional<std::string>> MemoryEngine::Get(const Partition& partition,
                                                             absl::string_view key) const {
  CMK_RETURN_IF_ERROR(CheckPartition(partition, shards_));
  absl::MutexLock lock(&mutex_);
  return Find(RowsOf(ShardedPrefix(partition)), key);
}

absl::StatusOr<std::vector<std::optional<std::string>>> MemoryEngine::MultiGet(
    const Partition& partition, const std::vector<std::string>& keys, size_t enough_bytes) const {
  CMK_RETURN_IF_ERROR(CheckPartition(partition, shards_));
  absl::MutexLock lock(&mutex_);
  const Rows& rows = RowsOf(ShardedPrefix(partition));
  std::vector<std::optional<std::string>> found;
  size_t bytes = 0;
  for (size_t i = 0; i < keys.size() && bytes <= enough_bytes; ++i) {
    found.push_back(Find(rows, keys[i]));
    bytes += found.back().has_value() ? found.back()->size() : 0;
  }
  return found;
}

absl::StatusOr<std::vector<Row>> MemoryEngine::Scan(const Partition& partition,
                                                    const KeyRange& range, ReadLimit limit) const {
  CMK_RETURN_IF_ERROR(CheckPartition(partition, shards_));
  absl::MutexLock lock(&mutex_);
  const Rows& rows = RowsOf(ShardedPrefix(partition));
  std::vector<Row> found;
  size_t bytes = 0;
  for (auto row = rows.lower_bound(range.begin); row != rows.end() && row->first < range.end &&
                                                 found.size() < limit.rows && bytes < limit.bytes;
       ++row) {
    found.push_back({row->first, row->second});
    bytes += row->second.size();
  }
  return found;
}

void MemoryEngine::Apply(const Partition& partition, WriteSet writes, Done done) {
  if (absl::Status status = CheckPartition(partition, shards_); !status.ok()) {
    done(status);
    return;
  }
  queue_.Push({ShardedPrefix(partition), std::move(writes), std::move(done)});
}

void MemoryEngine::Commit(CommitQueue::Run run) {
  for (QueuedCommit& one : run) one.done(CommitOne(one));
}

absl::StatusOr<Sequence> MemoryEngine::CommitOne(const QueuedCommit& one) {
  if (one.alone) {
    CMK_RETURN_IF_ERROR(one.alone());
    return Sequence{0};
  }
  absl::MutexLock lock(&mutex_);
  const Rows& now = RowsOf(one.prefix);
  for (const Precondition& condition : one.writes.preconditions()) {
    if (!condition.HoldsFor(FindFor(now, condition))) return condition.error;
  }
  const Sequence last = ReadU64(Find(now, PartitionStateKey()).value_or(""));
  const Sequence sequence = last + 1;
  Rows& rows = partitions_[one.prefix];
  for (const WriteSet::Write& write : one.writes.writes()) {
    if (write.kind == WriteSet::Write::Kind::kPut) {
      rows[write.key] = write.value;
    } else if (write.kind == WriteSet::Write::Kind::kAdd) {
      rows[write.key] = SumOfCounters(rows[write.key], write.value);
    } else {
      rows.erase(write.key);
    }
  }
  if (one.writes.only_adds()) return last;
  if (!one.writes.feed_record().empty()) rows[FeedKey(sequence)] = one.writes.feed_record();
  std::string state;
  AppendU64(sequence, state);
  rows[PartitionStateKey()] = state;
  return sequence;
}

absl::StatusOr<Sequence> MemoryEngine::LastSequence(const Partition& partition) const {
  CMK_ASSIGN_OR_RETURN(const std::optional<std::string> state, Get(partition, PartitionStateKey()));
  return ReadU64(state.value_or(""));
}

absl::Status MemoryEngine::DropPartition(const Partition& partition) {
  CMK_RETURN_IF_ERROR(CheckPartition(partition, shards_));
  return queue_.RunAlone([this, prefix = ShardedPrefix(partition)] {
    absl::MutexLock lock(&mutex_);
    partitions_.erase(prefix);
    return absl::OkStatus();
  });
}

}  // namespace cmkstore::store
