#include "store/rocksdb/commit_batch.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "store/counter_row.h"
#include "store/key_layout.h"
#include "store/rocksdb/rocks_status.h"

namespace cmkstore::store {
namespace {

constexpr size_t kProtectionBytesPerKey = 8;  // against flips in memory on the way to the disk

}  // namespace

absl::StatusOr<std::optional<std::string>> ReadRow(rocksdb::DB& db, const std::string& key) {
  std::string value;
  const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  CMK_RETURN_IF_ERROR(FromRocks(status));
  return value;
}

CommitBatch::CommitBatch(rocksdb::DB& db, const SequenceMap& remembered)
    : db_(db), remembered_(remembered), batch_(0, 0, kProtectionBytesPerKey, 0) {}

absl::StatusOr<Sequence> CommitBatch::Add(const QueuedCommit& queued) {
  for (const Precondition& condition : queued.writes.preconditions()) {
    CMK_RETURN_IF_ERROR(Check(queued.prefix + condition.key, condition));
  }
  CMK_ASSIGN_OR_RETURN(const Sequence last, Last(queued.prefix));
  CMK_RETURN_IF_ERROR(ReadSums(queued.prefix, queued.writes));
  const Sequence sequence = last + 1;
  for (const WriteSet::Write& write : queued.writes.writes()) {
    std::string key = queued.prefix + write.key;
    if (write.kind == WriteSet::Write::Kind::kPut) {
      batch_.Put(key, write.value);
      written_[std::move(key)] = &write.value;
    } else if (write.kind == WriteSet::Write::Kind::kAdd) {
      std::string& sum = sums_[key];
      sum = SumOfCounters(sum, write.value);
    } else {
      batch_.Delete(key);
      written_[std::move(key)] = nullptr;
    }
  }
  if (queued.writes.only_adds()) return last;
  if (!queued.writes.feed_record().empty()) {
    batch_.Put(queued.prefix + FeedKey(sequence), queued.writes.feed_record());
  }
  next_[queued.prefix] = sequence;
  return sequence;
}

rocksdb::WriteBatch& CommitBatch::Finish() {
  for (const auto& [key, sum] : sums_) batch_.Put(key, sum);
  for (const auto& [prefix, sequence] : next_) {
    std::string state;
    AppendU64(sequence, state);
    batch_.Put(prefix + PartitionStateKey(), state);
  }
  return batch_;
}

absl::Status CommitBatch::ReadSums(const std::string& prefix, const WriteSet& writes) {
  for (const WriteSet::Write& write : writes.writes()) {
    if (write.kind != WriteSet::Write::Kind::kAdd) continue;
    std::string key = prefix + write.key;
    if (sums_.contains(key)) continue;
    CMK_ASSIGN_OR_RETURN(std::optional<std::string> row, ReadRow(db_, key));
    sums_[std::move(key)] = std::move(row).value_or("");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CommitBatch::HasPrefix(const std::string& prefix) const {
  for (const auto& [key, value] : written_) {
    if (value != nullptr && absl::StartsWith(key, prefix)) return true;
  }
  const std::string end = EndOfPrefix(prefix);
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  options.prefix_same_as_start = true;  // that of the partition, which lies within
  const std::unique_ptr<rocksdb::Iterator> iterator(db_.NewIterator(options));
  for (iterator->Seek(prefix); iterator->Valid(); iterator->Next()) {
    if (!written_.contains(iterator->key().ToString())) return true;  // else deleted by the batch
  }
  CMK_RETURN_IF_ERROR(FromRocks(iterator->status()));
  return false;
}

absl::Status CommitBatch::Check(const std::string& key, const Precondition& condition) const {
  if (condition.kind == Precondition::Kind::kNoneWithPrefix) {
    CMK_ASSIGN_OR_RETURN(const bool found, HasPrefix(key));
    return found ? condition.error : absl::OkStatus();
  }
  std::optional<std::string> stored;
  std::optional<absl::string_view> value;
  if (auto found = written_.find(key); found != written_.end()) {
    if (found->second != nullptr) value = *found->second;
  } else {
    CMK_ASSIGN_OR_RETURN(stored, ReadRow(db_, key));
    if (stored.has_value()) value = *stored;
  }
  return condition.HoldsFor(value) ? absl::OkStatus() : condition.error;
}

absl::StatusOr<Sequence> CommitBatch::Last(const std::string& prefix) const {
  if (auto found = next_.find(prefix); found != next_.end()) return found->second;
  if (auto found = remembered_.find(prefix); found != remembered_.end()) return found->second;
  CMK_ASSIGN_OR_RETURN(std::optional<std::string> state,
                       ReadRow(db_, prefix + PartitionStateKey()));
  return state.has_value() ? ReadU64(*state) : 0;
}

}  // namespace cmkstore::store
