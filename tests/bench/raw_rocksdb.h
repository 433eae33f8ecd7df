#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/latencies.h"

namespace rocksdb {
class DB;
}

namespace cmkstore::bench {

// RocksDB alone, with the options of a shard: what a durable write and a point read cost below us.
// Values are as large as a stored row of the benchmark's documents.
class RawRocksDb {
 public:
  // Holds `documents` rows. Errors: INTERNAL.
  static absl::StatusOr<std::unique_ptr<RawRocksDb>> Open(const std::string& directory,
                                                          uint64_t documents);
  ~RawRocksDb();

  // `threads` threads, each one synced write after another.
  absl::StatusOr<CaseResult> Write(int threads, absl::Duration duration);
  // `threads` threads, each one read after another; every value is compared.
  absl::StatusOr<CaseResult> Read(int threads, absl::Duration duration);

 private:
  RawRocksDb(std::unique_ptr<rocksdb::DB> db, uint64_t documents);
  std::unique_ptr<rocksdb::DB> db_;
  const uint64_t documents_;
  std::atomic<uint64_t> next_;
};

// What the databases under a directory of shards take, once everything is flushed and compacted.
struct CompactedBytes {
  uint64_t files = 0;  // table files: rows as below, with shared keys left out and compressed
  uint64_t document_keys = 0;
  uint64_t envelopes = 0;  // values of the documents' rows
  uint64_t feed = 0;       // keys and values of the change feed
  uint64_t other = 0;
};

// Of SHARDS/shard-N; no server may have them open. Errors: INTERNAL.
absl::StatusOr<CompactedBytes> MeasureCompacted(const std::string& shards);

}  // namespace cmkstore::bench
