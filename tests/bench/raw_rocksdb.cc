#include "tests/bench/raw_rocksdb.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/key_layout.h"
#include "store/rocksdb/shard_options.h"
#include "store/rocksdb/shard_set.h"
#include "tests/bench/load.h"

namespace cmkstore::bench {
namespace {

constexpr size_t kKeyBytes = 65;      // partition prefix, table, project, collection, document
constexpr size_t kValueBytes = 1220;  // content, labels and names of a document, and its envelope

store::ShardResources Resources() {
  const store::ShardSetOptions defaults;
  store::ShardResources resources;
  resources.env = rocksdb::Env::Default();
  resources.resume_interval = defaults.resume_interval;
  resources.proving_time = defaults.proving_time;
  resources.block_cache = rocksdb::NewLRUCache(defaults.block_cache_bytes);
  resources.write_buffers =
      std::make_shared<rocksdb::WriteBufferManager>(defaults.write_buffer_bytes);
  resources.rate_limiter.reset(
      rocksdb::NewGenericRateLimiter(static_cast<int64_t>(defaults.background_bytes_per_second),
                                     100'000, 10, rocksdb::RateLimiter::Mode::kWritesOnly, true));
  return resources;
}

absl::Status Told(const rocksdb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::InternalError("RocksDB: " + status.ToString());
}

absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenDb(const std::string& path) {
  rocksdb::DB* raw = nullptr;
  CMK_RETURN_IF_ERROR(Told(rocksdb::DB::Open(store::ShardOptions(Resources()), path, &raw)));
  return std::unique_ptr<rocksdb::DB>(raw);
}

// Spread as the hashes of our keys are.
std::string KeyOf(uint64_t n) {
  std::string key(kKeyBytes, 'k');
  const uint64_t spread = n * 0x9e3779b97f4a7c15u;
  std::memcpy(key.data() + kKeyBytes - 16, &spread, sizeof(spread));
  std::memcpy(key.data() + kKeyBytes - 8, &n, sizeof(n));
  return key;
}

// Incompressible, as sealed rows are.
std::string ValueOf(uint64_t n) {
  std::string value(kValueBytes, '\0');
  uint64_t state = n + 1;
  for (size_t at = 0; at + 8 <= value.size(); at += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(value.data() + at, &state, 8);
  }
  return value;
}

// Runs `one` again and again on each of `threads` threads until it fails or the time is over.
absl::StatusOr<CaseResult> Hammer(int threads, absl::Duration duration,
                                  const std::function<absl::Status()>& one) {
  const auto length = static_cast<uint64_t>(absl::ToInt64Nanoseconds(duration));
  const uint64_t warm = NowNanos() + length / 10, end = warm + length;
  std::vector<Latencies> latencies(threads);
  std::vector<absl::Status> statuses(threads);
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      for (uint64_t began = NowNanos(); began < end && statuses[i].ok();) {
        statuses[i] = one();
        const uint64_t now = NowNanos();
        if (began >= warm && now <= end) latencies[i].Add(now - began);
        began = now;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  for (const absl::Status& status : statuses) CMK_RETURN_IF_ERROR(status);
  for (int i = 1; i < threads; ++i) latencies[0].Merge(latencies[i]);
  return latencies[0].Summarize(absl::ToDoubleSeconds(duration));
}

void AddRow(const rocksdb::Iterator& row, CompactedBytes& bytes) {
  constexpr size_t kTableAt = 16;  // behind the partition prefix
  const size_t key = row.key().size(), value = row.value().size();
  switch (static_cast<store::Table>(key > kTableAt ? row.key()[kTableAt] : '\0')) {
    case store::Table::kDocuments:
      bytes.document_keys += key;
      bytes.envelopes += value;
      break;
    case store::Table::kFeed: bytes.feed += key + value; break;
    default: bytes.other += key + value;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RawRocksDb>> RawRocksDb::Open(const std::string& directory,
                                                             uint64_t documents) {
  CMK_ASSIGN_OR_RETURN(std::unique_ptr<rocksdb::DB> db, OpenDb(directory));
  for (uint64_t n = 0; n < documents;) {
    rocksdb::WriteBatch batch;
    for (int i = 0; i < 250 && n < documents; ++i, ++n) batch.Put(KeyOf(n), ValueOf(n));
    CMK_RETURN_IF_ERROR(Told(db->Write(rocksdb::WriteOptions(), &batch)));
  }
  return std::unique_ptr<RawRocksDb>(new RawRocksDb(std::move(db), documents));
}

RawRocksDb::RawRocksDb(std::unique_ptr<rocksdb::DB> db, uint64_t documents)
    : db_(std::move(db)), documents_(documents), next_(documents) {}
RawRocksDb::~RawRocksDb() = default;

absl::StatusOr<CaseResult> RawRocksDb::Write(int threads, absl::Duration duration) {
  const std::string value = ValueOf(0);
  return Hammer(threads, duration, [&]() -> absl::Status {
    rocksdb::WriteOptions options;
    options.sync = true;
    rocksdb::WriteBatch batch;
    batch.Put(KeyOf(next_++), value);
    return Told(db_->Write(options, &batch));
  });
}

absl::StatusOr<CaseResult> RawRocksDb::Read(int threads, absl::Duration duration) {
  std::vector<std::string> values;
  for (uint64_t n = 0; n < documents_; ++n) values.push_back(ValueOf(n));
  std::atomic<uint64_t> next{0};
  return Hammer(threads, duration, [&]() -> absl::Status {
    const uint64_t n = next++ * 7919 % documents_;
    std::string value;
    CMK_RETURN_IF_ERROR(Told(db_->Get(rocksdb::ReadOptions(), KeyOf(n), &value)));
    return value == values[n] ? absl::OkStatus() : absl::InternalError("RocksDB: another value");
  });
}

absl::StatusOr<CompactedBytes> MeasureCompacted(const std::string& shards) {
  CompactedBytes bytes;
  for (int shard = 0; std::filesystem::exists(absl::StrCat(shards, "/shard-", shard)); ++shard) {
    CMK_ASSIGN_OR_RETURN(std::unique_ptr<rocksdb::DB> db,
                         OpenDb(absl::StrCat(shards, "/shard-", shard)));
    CMK_RETURN_IF_ERROR(Told(db->Flush(rocksdb::FlushOptions())));
    CMK_RETURN_IF_ERROR(Told(db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr)));
    std::vector<rocksdb::LiveFileMetaData> files;
    db->GetLiveFilesMetaData(&files);
    for (const rocksdb::LiveFileMetaData& file : files) bytes.files += file.size;
    const std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator(rocksdb::ReadOptions()));
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) AddRow(*rows, bytes);
    CMK_RETURN_IF_ERROR(Told(rows->status()));
  }
  return bytes;
}

}  // namespace cmkstore::bench
