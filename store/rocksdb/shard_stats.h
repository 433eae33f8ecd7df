#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/metrics.h"

namespace cmkstore::store {

// Counts of one shard's commit thread since start. Thread-safe.
struct CommitStats {
  Counter committed;  // write sets
  Counter refused;    // write sets: a precondition did not hold, or the disk failed
  Counter failed;     // synced writes that the disk refused
  Histogram batch_size = Histogram::OfSizes();     // write sets in one synced write
  Histogram sync_time = Histogram::OfLatencies();  // of one synced write
};

// What RocksDB says of itself, and the name that we show it under.
struct RocksProperty {
  absl::string_view name;
  absl::string_view property;
};
inline constexpr std::array<RocksProperty, 11> kRocksProperties = {{
    {"estimated_keys", "rocksdb.estimate-num-keys"},
    {"table_file_bytes", "rocksdb.total-sst-files-size"},
    {"memtable_bytes", "rocksdb.cur-size-all-mem-tables"},
    {"table_reader_bytes", "rocksdb.estimate-table-readers-mem"},
    {"pending_compaction_bytes", "rocksdb.estimate-pending-compaction-bytes"},
    {"running_compactions", "rocksdb.num-running-compactions"},
    {"running_flushes", "rocksdb.num-running-flushes"},
    {"immutable_memtables", "rocksdb.num-immutable-mem-table"},
    {"write_stopped", "rocksdb.is-write-stopped"},
    {"delayed_write_rate", "rocksdb.actual-delayed-write-rate"},
    {"background_errors", "rocksdb.background-errors"},
}};

// A shard as it is now.
struct ShardState {
  bool accepting = true;  // takes writes; false while the disk is full or failing (Shard)
  size_t queued_writes = 0;
  size_t queued_bytes = 0;
  std::array<uint64_t, kRocksProperties.size()> rocks{};
  const CommitStats* commits = nullptr;  // lives as long as the shard

  uint64_t table_bytes() const { return rocks[1]; }
};

}  // namespace cmkstore::store
