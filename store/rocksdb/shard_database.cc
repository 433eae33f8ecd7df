#include "store/rocksdb/shard_database.h"

#include <rocksdb/convenience.h>
#include <rocksdb/wal_filter.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "store/rocksdb/rocks_status.h"

namespace cmkstore::store {
namespace {

constexpr absl::Duration kDrainPoll = absl::Milliseconds(1);

// Leaves out of a recovery what was not acknowledged. A log record is a batch, whose bytes begin
// with the sequence number of its first write, little endian (RocksDB's write_batch.cc).
class AcknowledgedOnly final : public rocksdb::WalFilter {
 public:
  explicit AcknowledgedOnly(rocksdb::SequenceNumber last) : last_(last) {}

  WalProcessingOption LogRecordFound(unsigned long long /*log*/, const std::string& /*name*/,
                                     const rocksdb::WriteBatch& batch,
                                     rocksdb::WriteBatch* /*instead*/, bool* /*changed*/) override {
    return SequenceOf(batch) <= last_ ? WalProcessingOption::kContinueProcessing
                                      : WalProcessingOption::kIgnoreCurrentRecord;
  }
  const char* Name() const override { return "AcknowledgedOnly"; }

 private:
  static uint64_t SequenceOf(const rocksdb::WriteBatch& batch) {
    uint64_t sequence = 0;
    for (size_t i = sizeof(sequence); i-- > 0;) {
      sequence = sequence << 8 | static_cast<uint8_t>(batch.Data()[i]);
    }
    return sequence;
  }

  const rocksdb::SequenceNumber last_;
};

// By RocksDB's own words, of another process and of this one: others name the file LOCK as well.
bool IsInUse(const rocksdb::Status& opened) {
  const std::string text = opened.ToString();
  return absl::StartsWith(text, "IO error: While lock file: ") ||
         absl::StartsWith(text, "IO error: lock hold by current process");
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardDatabase>> ShardDatabase::Open(
    const std::string& path, const ShardResources& resources) {
  // RocksDB would make it too, but calls its absence an error in the log first.
  std::error_code ignored;
  std::filesystem::create_directory(path, ignored);
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(ShardOptions(resources), path, &db);
  if (IsInUse(opened)) {
    Log(LogLevel::kError, "store_error", {{"detail", opened.ToString()}});
    return StateInvalid("the data directory is in use by another cmkstored");
  }
  CMK_RETURN_IF_ERROR(FromRocks(opened));
  return std::unique_ptr<ShardDatabase>(new ShardDatabase(path, resources, DatabasePtr(db)));
}

absl::StatusOr<DatabasePtr> ShardDatabase::Use() const {
  absl::ReaderMutexLock lock(&mutex_);
  if (db_ == nullptr) return StoreStalled();
  return db_;
}

absl::Status ShardDatabase::Reopen(rocksdb::SequenceNumber acknowledged) {
  AcknowledgedOnly filter(acknowledged);
  rocksdb::Options options = ShardOptions(resources_);
  options.wal_filter = &filter;
  rocksdb::DB* db = nullptr;
  if (!CloseRetired()) return StoreStalled();  // what an attempt before has left
  if (!reading_only_) {
    reading_only_ = rocksdb::DB::OpenForReadOnly(options, path_, &db).ok();
    Retire(reading_only_ ? db : nullptr);
    if (retired_ != nullptr) rocksdb::CancelAllBackgroundWork(retired_.get(), /*wait=*/false);
    if (!CloseRetired()) return StoreStalled();
  }
  // What reads from beside it needs the files that a compaction would take away.
  options.disable_auto_compactions = true;
  const rocksdb::Status opened = rocksdb::DB::Open(options, path_, &db);
  if (!opened.ok()) return FromRocksWrite(opened);
  const bool whole = db->GetLatestSequenceNumber() >= acknowledged;
  Retire(db);
  reading_only_ = false;
  CloseRetired();
  CMK_RETURN_IF_ERROR(FromRocks(db->EnableAutoCompaction({db->DefaultColumnFamily()})));
  if (whole) return absl::OkStatus();
  return StoreCorrupt("a shard opened with fewer writes than were acknowledged");
}

void ShardDatabase::Retire(rocksdb::DB* successor) {
  absl::MutexLock lock(&mutex_);
  retired_ = std::exchange(db_, DatabasePtr(successor));
}

bool ShardDatabase::CloseRetired() {
  if (retired_ == nullptr) return true;
  // Nobody can begin to use it; who does still has a copy.
  const absl::Time give_up = absl::Now() + kDrainTime;
  while (retired_.use_count() > 1) {
    if (absl::Now() > give_up) {
      Log(LogLevel::kWarning, "store_in_use", {{"detail", "a read does not end; trying again"}});
      return false;
    }
    absl::SleepFor(kDrainPoll);
  }
  retired_.reset();
  return true;
}

}  // namespace cmkstore::store
